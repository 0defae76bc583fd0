# As nobody, with one capability or `nothing`. Only root can become somebody else.
able=$1
shift
[ "$(id -u)" = 0 ] || exec "$@"
caps=-all
[ "$able" = nothing ] || caps="-all,+$able"
exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps="$caps" --ambient-caps="$caps" "$@"
