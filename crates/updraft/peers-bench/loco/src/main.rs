//! loco with the middleware that it has on by itself: one log line for each request.

use async_trait::async_trait;
use axum::Extension;
use axum::Router as AxumRouter;
use items::Pool;
use loco_rs::app::{AppContext, Hooks};
use loco_rs::bgworker::Queue;
use loco_rs::boot::{BootResult, StartMode, create_app};
use loco_rs::config::Config;
use loco_rs::controller::AppRoutes;
use loco_rs::environment::Environment;
use loco_rs::prelude::*;
use loco_rs::task::Tasks;

struct Peer;

async fn hello() -> Result<Response> {
    format::text("hello")
}

async fn item(Extension(pool): Extension<Pool>, Path(id): Path<i64>) -> Result<Response> {
    match items::find(&pool, id).await {
        Some(item) => format::json(item),
        None => not_found(),
    }
}

#[async_trait]
impl Hooks for Peer {
    fn app_name() -> &'static str {
        "peer"
    }

    async fn boot(
        mode: StartMode,
        environment: &Environment,
        config: Config,
    ) -> Result<BootResult> {
        create_app::<Self>(mode, environment, config).await
    }

    fn routes(_ctx: &AppContext) -> AppRoutes {
        let routes = Routes::new().add("/", get(hello)).add("/items/{id}", get(item));
        AppRoutes::empty().add_route(routes)
    }

    async fn after_routes(router: AxumRouter, _ctx: &AppContext) -> Result<AxumRouter> {
        Ok(router.layer(Extension(items::pool())))
    }

    async fn connect_workers(_ctx: &AppContext, _queue: &Queue) -> Result<()> {
        Ok(())
    }

    fn register_tasks(_tasks: &mut Tasks) {}
}

#[tokio::main]
async fn main() -> Result<()> {
    let environment = Environment::Production;
    let config = Peer::load_config(&environment).await?;
    let boot = Peer::boot(StartMode::ServerOnly, &environment, config).await?;
    loco_rs::boot::start::<Peer>(boot, serve_params(), false).await
}

fn serve_params() -> loco_rs::boot::ServeParams {
    loco_rs::boot::ServeParams { port: items::port().into(), binding: "127.0.0.1".to_owned() }
}
