module.exports = 8080;
