//! nginx and HAProxy of Debian as plain reverse proxies, with a port for each endpoint.

use std::fmt::Write as _;
use std::net::SocketAddr;

use tempfile::TempDir;

use crate::support::program::{Program, command};

/// A proxy that is running, and the directory that it works in.
pub(super) struct Rival {
    _program: Program,
    _folder: TempDir,
}

pub(super) async fn nginx(ports: &[SocketAddr], endpoints: &[SocketAddr]) -> Rival {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr emerg;\n\
                    events { worker_connections 8192; }\n\
                    http {\naccess_log off;\nclient_body_temp_path body;\nproxy_temp_path proxy;\n\
                    fastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n\
                    proxy_set_header Host $http_host;\n\
                    large_client_header_buffers 4 32k;\n"
        .to_owned();
    for (port, endpoint) in ports.iter().zip(endpoints) {
        writeln!(
            text,
            "server {{ listen {port}; location / {{ proxy_pass http://{endpoint}; }} }}"
        )
        .unwrap();
    }
    text.push_str("}\n");
    std::fs::write(folder.path().join("nginx.conf"), text).unwrap();
    let mut nginx = command("nginx", "nginx-light");
    nginx.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
    let program = Program::serve("nginx", nginx, ports[ports.len() - 1]).await;
    Rival { _program: program, _folder: folder }
}

pub(super) async fn haproxy(ports: &[SocketAddr], endpoints: &[SocketAddr]) -> Rival {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "global\nmaxconn 4000\ndefaults\nmode http\ntimeout connect 5s\n\
                    timeout client 10s\ntimeout server 10s\n"
        .to_owned();
    for (index, (port, endpoint)) in ports.iter().zip(endpoints).enumerate() {
        writeln!(
            text,
            "frontend f{index}\nbind {port}\ndefault_backend b{index}\n\
             backend b{index}\nserver s {endpoint}"
        )
        .unwrap();
    }
    let config = folder.path().join("haproxy.cfg");
    std::fs::write(&config, text).unwrap();
    let mut haproxy = command("haproxy", "haproxy");
    haproxy.args(["-db", "-q", "-f"]).arg(&config);
    let program = Program::serve("haproxy", haproxy, ports[ports.len() - 1]).await;
    Rival { _program: program, _folder: folder }
}
