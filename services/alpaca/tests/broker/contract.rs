//! The contract of the port.

use std::sync::Mutex;

use async_trait::async_trait;
use broker::contract::{Bench, run_all};
use broker::{Broker, BrokerError, Report};
use domain::money::{Price, Quantity};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::Script;
use tapedeck_vendors::{HangUp, Vendors};

use crate::support::{E9, adapter};

/// A stand-in for each broker of the suite.
#[derive(Default)]
struct AtAlpaca(Mutex<Vec<Vendors>>);

impl AtAlpaca {
    fn last<T>(&self, work: impl FnOnce(&Vendors) -> T) -> T {
        work(self.0.lock().unwrap().last().unwrap())
    }

    /// Fills every open order that trades at the price, whole or with so many shares.
    fn fill(&self, price_e9: i64, shares_e9: Option<i64>) {
        self.last(|vendors| {
            let mut act = serde_json::json!({"do": "fill", "price": Price(price_e9).to_string()});
            if let Some(shares_e9) = shares_e9 {
                act["qty"] = Quantity(shares_e9).to_string().into();
            }
            vendors.stand.desk(|desk, market, _| {
                let open: Vec<String> = desk
                    .orders()
                    .iter()
                    .filter(|order| {
                        let through = order
                            .limit_price
                            .is_none_or(|limit| limit.to_f64() >= price_e9 as f64 / E9 as f64);
                        order.is_open() && order.live && through
                    })
                    .map(|order| order.client_order_id.clone())
                    .collect();
                for id in open {
                    let act = serde_json::from_value(act.clone()).unwrap();
                    desk.act(&id, act, market).unwrap();
                }
            });
        });
    }
}

#[async_trait]
impl Bench for AtAlpaca {
    async fn fresh(&self) -> Box<dyn Broker> {
        let vendors = Vendors::start(Script::default()).await.unwrap();
        let mut settings = vendors.stand.settings();
        settings.requests_per_minute.alpaca_trading = None;
        settings.alpaca_trading.fills = false;
        vendors.stand.set(settings);
        let broker = adapter(&vendors, tapedeck_vendors::SECRET);
        self.0.lock().unwrap().push(vendors);
        let mut broker: Box<dyn Broker> = Box::new(broker);
        self.heard(&mut *broker).await;
        broker
    }

    fn symbol(&self) -> &'static str {
        "AAPL"
    }

    async fn trade(&self, broker: &mut dyn Broker, price_e9: i64) -> Vec<Report> {
        self.heard(broker).await;
        self.fill(price_e9, None);
        self.heard(broker).await
    }

    async fn trade_some(&self, broker: &mut dyn Broker, price_e9: i64, shares_e9: i64) -> Vec<Report> {
        self.heard(broker).await;
        self.fill(price_e9, Some(shares_e9));
        self.heard(broker).await
    }

    async fn trade_unheard(&self, broker: &mut dyn Broker, price_e9: i64) {
        self.heard(broker).await;
        self.last(|vendors| {
            vendors.stand.hang_up(HangUp { vendor: Vendor::AlpacaTrading, code: None });
        });
        assert!(matches!(broker.reports().await, Err(BrokerError::Unknown { .. })), "the stream is gone");
        self.fill(price_e9, None);
        let heard_again =
            async { while !matches!(broker.reports().await, Err(BrokerError::Missed { .. })) {} };
        tokio::time::timeout(std::time::Duration::from_secs(10), heard_again).await.unwrap();
    }

    async fn heard(&self, broker: &mut dyn Broker) -> Vec<Report> {
        let mut all = Vec::new();
        let quiet = std::time::Duration::from_millis(250);
        while let Ok(said) = tokio::time::timeout(quiet, broker.reports()).await {
            match said {
                Ok(reports) => all.extend(reports),
                Err(BrokerError::Missed { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        all
    }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    run_all(&AtAlpaca::default()).await;
}
