//! The shop, as a person meets it: the README's command, a real browser, two replicas,
//! and a pricing service that dies.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration_tests::browser::Browser;
use integration_tests::{
    Random, Running, TestSystem, Turn, as_from_a_shell, eventually, http, processes, repository,
    target_folder, until,
};
use rustix::process::Signal;
use serde_json::{Value, json};

/// A fresh clone compiles `updraft` and the shop first.
const BUILT_WITHIN: Duration = Duration::from_secs(1200);

const SOON: Duration = Duration::from_secs(30);

/// The line of the README that starts the shop.
const COMMAND: &str = "cargo run -- up examples/shop";

/// The shop's folder is one, so its ports are too: one test at a time.
fn shop() -> Result<(Turn, TestSystem)> {
    let turn = Turn::take("shop")?;
    Ok((turn, TestSystem::at(&repository().join("examples/shop"))?))
}

fn storefront(system: &TestSystem) -> Result<String> {
    let url = system.row("storefront", "web")?.url.context("the storefront has an address")?;
    Ok(url.trim_end_matches('/').to_owned())
}

#[test]
fn the_command_of_the_readme_gives_a_shop_that_works_in_a_browser() -> Result<()> {
    let (_turn, system) = shop()?;
    let readme = fs::read_to_string(repository().join("README.md"))?;
    ensure!(readme.lines().any(|line| line == COMMAND), "the README does not say `{COMMAND}`");
    let mut command = system.bare("sh");
    command.args(["-c", &format!("exec {COMMAND}")]);
    as_from_a_shell(&mut command, &target_folder()?);
    let mut up = Running::start(&system, command)?;
    up.wait_ready(BUILT_WITHIN)?;
    up.says("http://", SOON)?;

    let browser = Browser::start()?;
    browser.open(&storefront(&system)?)?;
    products_have_prices(&browser)?;
    an_order_becomes_fulfilled(&browser)?;
    let pictures = target_folder()?.join("screenshots");
    browser.screenshot(&pictures.join("shop.png"))?;
    let errors = browser.errors()?;
    ensure!(errors.is_empty(), "the page has errors: {errors:#?}");

    the_page_degrades_without_pricing(&system, &browser)?;
    browser.screenshot(&pictures.join("shop-without-prices.png"))?;
    system.ok(&["scale", "pricing.web=1"])?;
    browser.open(&storefront(&system)?)?;
    products_have_prices(&browser)?;

    up.signal(Signal::INT)?;
    assert_eq!(up.ended(SOON)?.code(), Some(0), "{}", up.said()?);
    system.expect_nothing(&[], Duration::ZERO)
}

fn products_have_prices(browser: &Browser) -> Result<()> {
    eventually("a price for each product", SOON, || {
        let prices = browser.find_all("[data-product] [data-price]")?;
        let texts: Vec<String> =
            prices.iter().map(|price| browser.text(price)).collect::<Result<_>>()?;
        let priced = |text: &String| text.chars().any(|letter| letter.is_ascii_digit());
        Ok(texts.len() >= 3 && texts.iter().all(priced))
    })?;
    for notice in browser.find_all("#notice")? {
        ensure!(!browser.is_shown(&notice)?, "a notice: {}", browser.text(&notice)?);
    }
    Ok(())
}

fn an_order_becomes_fulfilled(browser: &Browser) -> Result<()> {
    let before = browser.find_all("#orders [data-order-id]")?.len();
    let button = browser.wait_for("button[data-order]", SOON)?;
    browser.click(&button)?;
    eventually("the order on the page", SOON, || {
        Ok(browser.find_all("#orders [data-order-id]")?.len() == before + 1)
    })?;
    browser.wait_for("#orders [data-order-id] [data-state=fulfilled]", SOON)?;
    Ok(())
}

fn the_page_degrades_without_pricing(system: &TestSystem, browser: &Browser) -> Result<()> {
    // Killed, it comes back by itself.
    let before = system.row("pricing", "web")?;
    processes::signal(before.pid.context("it runs")?, Signal::KILL)?;
    let after = system.row_when(("pricing", "web"), SOON, |row| {
        row.state == "ready" && row.pid.is_some() && row.pid != before.pid
    })?;
    assert_eq!(after.restarts, before.restarts + 1);
    // Gone for good, the page says so and goes on.
    system.ok(&["scale", "pricing.web=0"])?;
    let asked = Instant::now();
    let products = http::get(&format!("{}/api/products", storefront(system)?))?;
    ensure!(asked.elapsed() < Duration::from_secs(2), "degraded, but not quickly");
    assert_eq!((products.status, &products.json()?["degraded"]), (200, &json!(true)));
    browser.open(&storefront(system)?)?;
    let notice = browser.wait_for("#notice", SOON)?;
    eventually("the notice", SOON, || browser.is_shown(&notice))?;
    ensure!(browser.find_all("[data-product]")?.len() >= 3, "the products are gone");
    an_order_becomes_fulfilled(browser)
}

#[test]
fn two_replicas_of_each_web_process_give_the_same_answers() -> Result<()> {
    let (_turn, system) = shop()?;
    system.ok(&["up", "-d"])?;
    system.ok(&["scale", "storefront.web=2", "orders.web=2", "pricing.web=2"])?;
    system.ok(&["wait", "--ready", "60s"])?;
    let front = storefront(&system)?;
    let order = json!({ "sku": a_sku(&front)?, "quantity": 2 });
    let placed =
        http::post(&format!("{front}/api/orders"), &[("idempotency-key", "twins")], &order)?;
    assert_eq!(placed.status, 201, "{placed:?}");
    let placed = placed.json()?["id"].clone();
    eventually("its fulfilment", SOON, || {
        Ok(orders(&front)?.iter().any(|it| it["id"] == placed && it["state"] == "fulfilled"))
    })?;

    for (service, path) in [
        ("storefront", "/"),
        ("storefront", "/api/products"),
        ("storefront", "/api/orders"),
        ("orders", "/orders"),
        ("pricing", "/prices"),
    ] {
        let rows = system.rows(service, "web")?;
        assert_eq!(rows.len(), 2, "{rows:?}");
        let mut answers = BTreeSet::new();
        for row in &rows {
            let port = row.port.with_context(|| format!("{row:?}"))?;
            let answer = http::get(&format!("http://127.0.0.1:{port}{path}"))?;
            assert_eq!(answer.status, 200, "{row:?}");
            answers.insert(answer.body);
        }
        assert_eq!(answers.len(), 1, "{service} {path}: {answers:#?}");
    }
    // The same key at either replica is the same order.
    for row in system.rows("orders", "web")? {
        let url = format!("http://127.0.0.1:{}/orders", row.port.context("it has a port")?);
        let again = http::post(&url, &[("idempotency-key", "twins")], &order)?.json()?;
        assert_eq!(again["id"], placed);
    }
    system.ok(&["down", "--resources"])?;
    Ok(())
}

/// The whole of what pricing does for it is in the manifest.
#[test]
fn pricing_is_retried_left_alone_and_done_without_by_no_line_of_code() -> Result<()> {
    let (_turn, system) = shop()?;
    system.ok(&["up", "-d"])?;
    system.ok(&["scale", "pricing.web=2"])?;
    system.ok(&["wait", "--ready", "60s"])?;
    let products = format!("{}/api/products", storefront(&system)?);
    let degraded = || Ok::<_, anyhow::Error>(http::get(&products)?.json()?["degraded"] == true);

    // One of two dies without a word; no visitor sees it.
    let victim = system.rows("pricing", "web")?[0].pid.context("it runs")?;
    processes::signal(victim, Signal::STOP)?;
    for _ in 0..20 {
        ensure!(!degraded()?, "a page without prices while one replica was well");
    }
    let edge = edge(&system, "storefront", "pricing")?;
    let retries = edge["retries"]["timeout"].as_u64().unwrap_or_default();
    ensure!(0 < retries, "nothing was tried again: {edge}");
    ensure!(retries < 20, "the one that is silent was not left alone: {edge}");
    processes::signal(victim, Signal::CONT)?;

    // All fail: the circuit opens, and the page goes on without prices, quickly.
    system.ok(&["mesh", "fault", "pricing", "--name", "down", "--abort", "503"])?;
    ensure!(degraded()?, "prices came from nowhere");
    system.ok(&["mesh", "clear", "pricing"])?;
    eventually("prices again", SOON, || Ok(!degraded()?))?;
    system.ok(&["down", "--resources"])?;
    Ok(())
}

/// What the gateway knows of one edge.
fn edge(system: &TestSystem, from: &str, to: &str) -> Result<Value> {
    let mut curl = system.bare("curl");
    curl.args(["--silent", "--unix-socket"]).arg(system.control_socket()?);
    curl.arg("http://updraft/v1/mesh/edges");
    let edges: Value = serde_json::from_str(&system.finish(curl)?.expect(0)?.stdout)?;
    let edges = edges.as_array().context("a list of edges")?;
    let ours = |edge: &&Value| edge["from"] == from && edge["to"] == to && edge["side"] == "client";
    edges.iter().find(ours).cloned().with_context(|| format!("no {from}->{to} in {edges:?}"))
}

#[test]
fn no_acknowledged_order_is_lost_by_kill_9() -> Result<()> {
    const KILLS: u32 = 20;
    // The worker packs one parcel a second; what is placed is to be fulfilled in the end.
    const ORDERS_MAX: u32 = 3;
    let mut random = Random::announced()?;
    let (_turn, system) = shop()?;
    let mut acknowledged = BTreeSet::new();
    for _ in 0..KILLS {
        let up = system.up()?;
        up.wait_ready(BUILT_WITHIN)?;
        let front = storefront(&system)?;
        let order = json!({ "sku": a_sku(&front)?, "quantity": 1 });
        let ports: Vec<u16> = system.ps()?.iter().filter_map(|row| row.port).collect();
        let (began, moment) = (Instant::now(), random.below(Duration::from_millis(1500)));
        for _ in 0..ORDERS_MAX {
            if began.elapsed() >= moment {
                break;
            }
            let answer = http::post(&format!("{front}/api/orders"), &[], &order)?;
            ensure!(answer.status == 201, "{answer:?}");
            let id = answer.json()?["id"].as_str().context("an order without an id")?.to_owned();
            acknowledged.insert(id);
        }
        until("the moment of the kill", SOON, || Ok((began.elapsed() >= moment).then_some(())))?;
        up.kill9()?;
        system.expect_nothing(&ports, Duration::from_secs(10))?;
    }
    ensure!(!acknowledged.is_empty(), "no order was placed at all");

    system.ok(&["up", "-d"])?;
    let port = system.row("orders", "web")?.port.context("orders has a port")?;
    for id in &acknowledged {
        let url = format!("http://127.0.0.1:{port}/orders/{id}");
        eventually(&format!("the order {id}"), Duration::from_secs(120), || {
            let order = http::get(&url)?;
            ensure!(order.status == 200, "an acknowledged order is lost: {id}: {order:?}");
            Ok(order.json()?["state"] == "fulfilled")
        })?;
    }
    system.ok(&["down", "--resources"])?;
    Ok(())
}

fn a_sku(front: &str) -> Result<Value> {
    let products = http::get(&format!("{front}/api/products"))?.json()?;
    Ok(products["products"][0]["sku"].clone())
}

fn orders(front: &str) -> Result<Vec<Value>> {
    let list = http::get(&format!("{front}/api/orders"))?.json()?;
    Ok(list["orders"].as_array().context("no list of orders")?.clone())
}
