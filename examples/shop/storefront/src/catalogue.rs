//! What the shop sells. Prices are not known here.

use schemars::JsonSchema;
use serde::Serialize;

/// A product as the page shows it.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub(crate) struct Product {
    pub(crate) sku: &'static str,
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
}

pub(crate) const PRODUCTS: [Product; 6] = [
    Product {
        sku: "KITE",
        name: "Delta kite",
        about: "Ripstop sail on carbon spars. Lifts off in a light breeze.",
    },
    Product {
        sku: "GLIDER",
        name: "Balsa glider",
        about: "Laser-cut wings, rubber nose. Eleven seconds in still air.",
    },
    Product {
        sku: "WINDSOCK",
        name: "Windsock",
        about: "Reads the wind from the far end of the meadow.",
    },
    Product {
        sku: "BALLOON",
        name: "Paper balloon",
        about: "Hot air, tissue paper and a quiet evening.",
    },
    Product {
        sku: "PINWHEEL",
        name: "Pinwheel",
        about: "Eight blades on a beech stick. Never quite still.",
    },
    Product { sku: "CHIME", name: "Wind chime", about: "Five brass tubes in a pentatonic scale." },
];
