// The page of a contract: it reads the OpenAPI document of its own service and shows it. All
// that comes from the document is put in as text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const places = document.documentElement.dataset.contracts.split(" ");
let contract = {};

// An element with its attributes and children; texts stay texts.
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

function resolve(schema) {
  for (let depth = 0; schema && schema.$ref && depth < 32; depth++) {
    schema = schema.$ref.slice(2).split("/").reduce((at, part) => at && at[part], contract);
  }
  return schema || {};
}

const nameOf = (schema) => schema && schema.$ref && schema.$ref.split("/").pop();

// The type of a schema in one line.
function typeText(schema) {
  if (schema === true || schema === undefined) return "anything";
  const name = nameOf(schema);
  if (name) return name;
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const branches = schema.anyOf || schema.oneOf;
  if (branches) return branches.map(typeText).join(" | ");
  const kinds = [schema.type || (schema.properties ? "object" : "anything")].flat();
  return kinds.map((kind) => {
    if (kind === "array") return `array of ${typeText(schema.items)}`;
    if (kind === "object" && typeof schema.additionalProperties === "object") {
      return `object of ${typeText(schema.additionalProperties)}`;
    }
    return schema.format && kind !== "null" ? `${kind} (${schema.format})` : kind;
  }).join(" | ");
}

// The rules of a schema besides its type.
function ruleText(schema) {
  const own = resolve(schema);
  const rules = [];
  const range = (least, most, of) => {
    if (own[least] !== undefined && own[most] !== undefined) rules.push(`${own[least]} to ${own[most]}${of}`);
    else if (own[least] !== undefined) rules.push(`at least ${own[least]}${of}`);
    else if (own[most] !== undefined) rules.push(`at most ${own[most]}${of}`);
  };
  range("minimum", "maximum", "");
  range("minLength", "maxLength", " characters");
  range("minItems", "maxItems", " items");
  if (own.pattern) rules.push(`like ${own.pattern}`);
  if (own.default !== undefined) rules.push(`default ${JSON.stringify(own.default)}`);
  return rules.join(", ");
}

function typeView(schema) {
  const name = nameOf(schema) || nameOf(schema && schema.items);
  const text = typeText(schema);
  const rules = ruleText(schema);
  const type = make("span", { class: "type" }, name ? make("a", { href: `#schema-${name}` }, text) : text);
  return [type, rules && make("span", { class: "quiet" }, ` ${rules}`)];
}

// The members of an object, those within it below them.
function members(schema, depth = 0) {
  const own = resolve(schema);
  const branches = own.anyOf || own.oneOf;
  if (branches) {
    return branches.map((branch) => make("div", {},
      make("p", { class: "quiet" }, "one of: ", typeView(branch)),
      nameOf(branch) && depth > 0 ? null : members(branch, depth + 1)));
  }
  if (own.type === "array" && own.items && !nameOf(own.items)) return members(own.items, depth);
  const properties = Object.entries(own.properties || {});
  if (!properties.length) return null;
  const required = new Set(own.required || []);
  return make("dl", { class: "members" }, properties.map(([name, member]) => [
    make("dt", { class: required.has(name) ? "required" : null }, name),
    make("dd", {}, typeView(member),
      member.description && make("div", { class: "quiet" }, member.description),
      !nameOf(member) && depth < 4 ? members(member, depth + 1) : null),
  ]));
}

// A value that the schema allows, to begin with.
function sample(schema, depth = 0) {
  const own = resolve(schema);
  if (own.default !== undefined) return own.default;
  if (own.examples && own.examples.length) return own.examples[0];
  if ("const" in own) return own.const;
  if (own.enum) return own.enum[0];
  const branches = own.anyOf || own.oneOf;
  if (branches) return sample(branches.find((it) => resolve(it).type !== "null") || branches[0], depth);
  const kind = [own.type].flat()[0];
  if (kind === "string") return "text".padEnd(own.minLength || 0, "x").slice(0, own.maxLength);
  if (kind === "integer" || kind === "number") return Math.max(own.minimum ?? 1, Math.min(1, own.maximum ?? 1));
  if (kind === "boolean") return false;
  if (kind === "array") return depth > 3 ? [] : [sample(own.items || {}, depth + 1)];
  if (kind === "object" || own.properties) {
    const required = new Set(own.required || []);
    const entries = Object.entries(own.properties || {}).filter(([name]) => depth < 3 || required.has(name));
    return Object.fromEntries(entries.map(([name, member]) => [name, sample(member, depth + 1)]));
  }
  return null;
}

function paragraphs(text) {
  return (text || "").split(/\n\s*\n/).filter(Boolean).map((part) => make("p", {}, part));
}

function parametersView(operation) {
  const list = operation.parameters || [];
  if (!list.length) return null;
  return [make("h3", {}, "Parameters"), make("dl", { class: "members" }, list.map((it) => [
    make("dt", { class: it.required ? "required" : null }, it.name),
    make("dd", {}, typeView(it.schema), make("span", { class: "quiet" }, ` in ${it.in}`),
      it.description && make("div", { class: "quiet" }, it.description)),
  ]))];
}

function bodyView(operation) {
  const content = operation.requestBody && operation.requestBody.content;
  if (!content) return null;
  return [make("h3", {}, "Body"), Object.entries(content).map(([media, { schema }]) => [
    make("p", {}, make("code", {}, media), " ", schema ? typeView(schema) : null),
    schema ? members(schema) : null,
  ])];
}

function responsesView(operation) {
  return [make("h3", {}, "Responses"), Object.entries(operation.responses).map(([status, response]) =>
    make("div", { class: "response" },
      make("span", { class: `status ${/^[123]/.test(status) ? "good" : "bad"}` }, status),
      make("div", {}, response.description,
        Object.keys(response.headers || {}).map((name) => [" ", make("code", {}, name)]),
        Object.entries(response.content || {}).map(([media, { schema }]) => make("div", {},
          make("span", { class: "quiet" }, `${media} `), schema ? typeView(schema) : null)))))];
}

// The place of an operation: the document's, unless it has one of its own.
function placeOf(operation) {
  const server = (operation.servers || contract.servers || [{ url: "/" }])[0].url;
  return server.replace(/\/$/, "");
}

function tryView(method, path, operation) {
  const inputs = (operation.parameters || []).map((it) => {
    const input = make("input", { "aria-label": it.name, placeholder: typeText(it.schema) });
    if (it.required) input.value = String(sample(it.schema));
    return [it, input];
  });
  const media = Object.keys((operation.requestBody || {}).content || {})[0];
  const schema = media && operation.requestBody.content[media].schema;
  const body = media && make("textarea", { "aria-label": "Body", spellcheck: "false" });
  if (schema) body.value = JSON.stringify(sample(schema), null, 2);
  const token = operation.security &&
    make("input", { type: "password", placeholder: "token", "aria-label": "Bearer token", autocomplete: "off" });
  const answer = make("div", { "aria-live": "polite" });
  const send = async () => {
    let target = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const [it, input] of inputs) {
      if (it.in === "path") target = target.replace(`{${it.name}}`, encodeURIComponent(input.value));
      else if (input.value === "") continue;
      else if (it.in === "query") {
        const several = resolve(it.schema).type === "array" ? input.value.split(",") : [input.value];
        several.forEach((value) => query.append(it.name, value.trim()));
      } else headers[it.name] = input.value;
    }
    if (media) headers["content-type"] = media;
    if (token && token.value) headers.authorization = `Bearer ${token.value}`;
    const url = placeOf(operation) + target + (query.size ? `?${query}` : "");
    const begun = performance.now();
    answer.replaceChildren(make("p", { class: "quiet" }, `${method.toUpperCase()} ${url} …`));
    try {
      const response = await fetch(url, { method: method.toUpperCase(), headers, body: body ? body.value : undefined });
      const text = await response.text();
      const took = Math.round(performance.now() - begun);
      let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it is no JSON */ }
      const lines = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
      answer.replaceChildren(
        make("p", {}, make("span", { class: `status ${response.ok ? "good" : "bad"}` }, String(response.status)),
          ` in ${took} ms  `, make("code", {}, url)),
        make("details", {}, make("summary", { class: "quiet" }, "Headers"), make("pre", {}, lines)),
        shown ? make("pre", {}, shown) : make("p", { class: "quiet" }, "no body"));
    } catch (error) {
      answer.replaceChildren(make("p", { class: "status bad" }, `No answer: ${error.message}`));
    }
  };
  return make("details", { class: "try" }, make("summary", {}, make("h3", {}, "Try it ▸")),
    make("form", { onsubmit: (event) => { event.preventDefault(); send(); } },
      make("div", { class: "fields" },
        inputs.map(([it, input]) => [make("span", {}, it.name), input]),
        token ? [make("span", {}, "Bearer token"), token] : null),
      body, make("p", {}, make("button", { class: "send" }, "Send"))),
    answer);
}

function operationView(method, path, operation) {
  const scopes = (operation.security || []).flatMap((it) => Object.values(it)).flat();
  return make("details", {
    class: `card searched${operation.deprecated ? " deprecated" : ""}`, id: `operation-${operation.operationId}`,
    "data-words": [method, path, operation.operationId, operation.summary, operation.description].join(" ").toLowerCase(),
  },
  make("summary", {},
    make("span", { class: `method m-${method}` }, method.toUpperCase()),
    make("span", { class: "path" }, placeOf(operation) + path),
    make("span", { class: "quiet" }, operation.summary || ""),
    operation.deprecated && make("span", { class: "tag" }, "deprecated"),
    scopes.map((scope) => make("span", { class: "tag" }, scope))),
  make("div", { class: "inside" }, paragraphs(operation.description),
    operation["x-unknown-input"] && make("p", { class: "quiet" }, "It also reads what the contract does not tell."),
    operation["x-unknown-output"] && make("p", { class: "quiet" }, "It also answers what the contract does not tell."),
    parametersView(operation), bodyView(operation), responsesView(operation), tryView(method, path, operation)));
}

// Operations by their first tag, in the order of their paths.
function grouped() {
  const groups = new Map();
  for (const [path, item] of Object.entries(contract.paths || {})) {
    for (const method of METHODS.filter((it) => item[it])) {
      const tag = (item[method].tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push([method, path, item[method]]);
    }
  }
  return [...groups].sort(([one], [other]) => one.localeCompare(other));
}

// The kinds of problems of all operations, each once, by their address on this page.
function problems() {
  const kinds = new Map();
  for (const [, list] of grouped()) {
    for (const [method, path, operation] of list) {
      for (const [status, response] of Object.entries(operation.responses)) {
        const media = (response.content || {})["application/problem+json"];
        if (!media || status === "default") continue;
        const schemas = media.schema.anyOf || media.schema.oneOf || [media.schema];
        for (const schema of schemas) {
          const own = resolve(schema).properties || {};
          const type = (own.type || {}).const || "about:blank";
          const key = type === "about:blank" ? `${status}` : type;
          if (!kinds.has(key)) kinds.set(key, { type, status, schema, title: own.title.const, users: [] });
          kinds.get(key).users.push(`${method.toUpperCase()} ${path}`);
        }
      }
    }
  }
  return [...kinds.values()].sort((one, other) => one.status - other.status || one.title.localeCompare(other.title));
}

function problemView(kind) {
  const anchor = kind.type.includes("#") ? kind.type.split("#").pop() : `problem-${kind.status}`;
  return make("details", { class: "card searched", id: anchor, "data-words": `${kind.title} ${kind.type} ${kind.status}`.toLowerCase() },
    make("summary", {}, make("span", { class: "status bad" }, kind.status), make("strong", {}, kind.title),
      make("span", { class: "quiet path" }, kind.type)),
    make("div", { class: "inside" }, members(kind.schema), make("h3", {}, "Answered by"),
      kind.users.map((user) => make("div", { class: "path" }, user))));
}

function schemaView([name, schema]) {
  return make("details", { class: "card searched", id: `schema-${name}`, "data-words": name.toLowerCase() },
    make("summary", {}, make("strong", { class: "path" }, name), make("span", { class: "quiet" }, schema.description || "")),
    make("div", { class: "inside" }, make("p", {}, typeView(schema)), members(schema)));
}

function link(target, ...children) {
  return make("a", { href: `#${target}`, "data-target": target }, ...children);
}

function show() {
  const groups = grouped();
  const kinds = problems();
  const isProblem = ([name]) => /Problem$/.test(name);
  const schemas = Object.entries((contract.components || {}).schemas || {}).filter((it) => !isProblem(it));
  const views = kinds.map(problemView);
  const nav = groups.map(([tag, list]) => make("div", { class: "group" }, make("h2", {}, tag),
    list.map(([method, path, operation]) => link(`operation-${operation.operationId}`,
      make("span", { class: `method m-${method}` }, method.toUpperCase()), make("span", { class: "path" }, path)))));
  nav.push(make("div", { class: "group" }, make("h2", {}, "Problems"),
    kinds.map((kind, index) => link(views[index].id, make("span", { class: "method" }, kind.status), kind.title))));
  nav.push(make("div", { class: "group" }, make("h2", {}, "Schemas"), schemas.map(([name]) => link(`schema-${name}`, name))));
  document.getElementById("contents").replaceChildren(...nav);
  document.getElementById("main").replaceChildren(
    ...groups.map(([tag, list]) => make("section", {}, make("h2", {}, tag), list.map((it) => operationView(...it)))),
    make("section", {}, make("h2", {}, "Problems"), views),
    make("section", {}, make("h2", {}, "Schemas"), schemas.map(schemaView)),
    make("p", { class: "none quiet", hidden: true }, "Nothing is called so."));
  document.getElementById("title").textContent = `${contract.info.title} ${contract.info.version}`;
  document.title = `${contract.info.title} API`;
  search();
  reveal();
}

function search() {
  const words = document.getElementById("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const card of document.querySelectorAll(".searched")) {
    const fits = words.every((word) => card.dataset.words.includes(word));
    card.hidden = !fits;
    found += fits ? 1 : 0;
    const entry = document.querySelector(`nav a[data-target="${CSS.escape(card.id)}"]`);
    if (entry) entry.hidden = !fits;
  }
  for (const group of document.querySelectorAll("main section, nav .group")) {
    group.hidden = ![...group.querySelectorAll(".searched, a[data-target]")].some((it) => !it.hidden);
  }
  const none = document.querySelector(".none");
  if (none) none.hidden = found > 0;
}

// Opens what the address names: the type of a problem is an address on this page.
function reveal() {
  const card = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (card) {
    card.open = true;
    card.scrollIntoView();
  }
}

async function load(place) {
  document.getElementById("document").href = place;
  try {
    const response = await fetch(place);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    contract = await response.json();
    show();
  } catch (error) {
    document.getElementById("main").replaceChildren(
      make("p", { class: "status bad" }, `The contract at ${place} cannot be read: ${error.message}`));
  }
}

function theme(chosen) {
  if (chosen) document.documentElement.dataset.theme = chosen;
  try { if (chosen) localStorage.setItem("theme", chosen); } catch { /* it is not kept then */ }
}

try { theme(localStorage.getItem("theme")); } catch { /* the system's then */ }
document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  theme(dark ? "light" : "dark");
});
document.getElementById("search").addEventListener("input", search);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    document.getElementById("search").focus();
  }
});
addEventListener("hashchange", reveal);
const versions = document.getElementById("version");
if (places.length > 1) {
  versions.closest("label").hidden = false;
  versions.append(...places.map((place) => make("option", { value: place }, place.split("/")[1].slice(1))));
  versions.addEventListener("change", () => load(versions.value));
}
load(places[0]);
