//! Reference vectors of strategic-1, sections 21.2 to 21.4, on the generated series.

use std::sync::LazyLock;

use tradewind_features::strategic::atr::Atr;
use tradewind_features::strategic::lvn::Node;
use tradewind_features::strategic::mlmi::{Mlmi, MlmiReading};
use tradewind_features::strategic::nwrqk::NwrqkReading;
use tradewind_features::strategic::rsi::Rsi;
use tradewind_features::strategic::synergy::{Signal, SignalSource};
use tradewind_features::strategic::wma::Wma;
use tradewind_features::strategic::{
    BarClock, CheckedMatrix, MatrixPolicy, MlmiConfig, SharedContext, Snapshot, StrategicConfig, StrategicFeatures,
    SynergyConfig, pooled,
};

use crate::series::generated;

fn near(seen: f64, wanted: f64) {
    assert!((seen - wanted).abs() <= 1e-7, "{seen} instead of {wanted}");
}

fn all_near(seen: &[f64], wanted: &[f64]) {
    assert_eq!(seen.len(), wanted.len());
    for (column, (s, w)) in seen.iter().zip(wanted).enumerate() {
        assert!((s - w).abs() <= 1e-7, "column {column}: {s} instead of {w}");
    }
}

/// The whole generated series, once.
static STATE: LazyLock<StrategicFeatures> = LazyLock::new(|| {
    let mut state = StrategicFeatures::new(&StrategicConfig::default(), BarClock::default()).unwrap();
    for candle in generated(700) {
        state.push(&candle).unwrap();
    }
    state
});

fn at(t: u64) -> &'static Snapshot {
    STATE.snapshot(t).unwrap()
}

fn mlmi(t: u64) -> MlmiReading {
    at(t).readings.mlmi.unwrap()
}

fn nwrqk(t: u64) -> NwrqkReading {
    at(t).readings.nwrqk.unwrap()
}

/// The series itself, section 21.2.
#[test]
fn generated_bars() {
    let bars = generated(700);
    for (t, wanted) in [
        (0, [100.0, 101.0, 99.7, 100.7, 1000.0]),
        (1, [100.7, 101.804_596_72, 100.1, 101.304_596_72, 1600.0]),
        (2, [101.304_596_72, 102.004_596_72, 100.768_723_04, 101.268_723_04, 1500.0]),
        (699, [135.274_806_53, 137.512_342_30, 134.874_806_53, 136.912_342_30, 1100.0]),
    ] {
        let bar = &bars[t];
        all_near(&[bar.open, bar.high, bar.low, bar.close, bar.volume], &wanted);
    }
}

/// Building blocks, section 21.2, second table.
#[test]
fn generated_averages_and_indices() {
    let (mut wma, mut rsi) = ([Wma::new(5), Wma::new(20)], [Rsi::new(5), Rsi::new(20)]);
    let wanted = [
        (20, [101.902_190_26, 100.593_934_34, 83.417_965_64, 59.804_852_96]),
        (39, [103.540_571_48, 101.859_732_57, 75.436_025_60, 59.561_762_47]),
        (60, [103.540_728_74, 103.127_482_56, 38.268_739_23, 52.234_891_32]),
        (119, [105.023_189_62, 105.169_275_35, 76.513_072_14, 57.202_362_51]),
        (300, [114.478_117_44, 114.922_976_41, 31.610_666_89, 50.215_272_04]),
        (699, [135.314_667_55, 134.376_785_02, 85.724_302_59, 61.845_820_19]),
    ];
    let mut checked = 0;
    for (t, candle) in generated(700).iter().enumerate() {
        let seen = [0, 1].map(|i| wma[i].push(candle.close)).into_iter().chain([0, 1].map(|i| rsi[i].push(candle.close)));
        let seen: Vec<f64> = seen.flatten().collect();
        if let Some((_, wanted)) = wanted.iter().find(|(at, _)| *at == t) {
            all_near(&seen, wanted);
            checked += 1;
        }
    }
    assert_eq!(checked, wanted.len());
}

/// ST-V15: values, averages and signals of the momentum index.
#[test]
fn momentum_index() {
    for (t, q, s, value, average, signal) in [
        (39, 57.101_792_04, 52.948_810_30, 50.0, None, 0),
        (60, 55.719_056_63, 54.614_183_21, 100.0, Some(86.904_761_90), 0),
        (119, 46.582_864_01, 51.901_030_90, 20.0, Some(48.095_238_10), 0),
        (300, 52.699_814_97, 54.431_559_41, 100.0, Some(75.047_619_05), 0),
        (699, 53.467_358_01, 53.040_024_64, 60.0, Some(43.238_095_24), 1),
    ] {
        let seen = mlmi(t);
        all_near(&[seen.fast, seen.slow, seen.value], &[q, s, value]);
        assert_eq!((seen.average.is_some(), seen.signal), (average.is_some(), signal), "bar {t}");
        near(seen.average.unwrap_or(0.0), average.unwrap_or(0.0));
    }
    assert_eq!(at(38).readings.mlmi, None);
}

/// ST-V15: crossings, examples, first signals.
#[test]
fn momentum_index_events_and_signals() {
    let all = |of: fn(MlmiReading) -> i8| -> Vec<(u64, i8)> {
        (39..700).map(|t| (t, of(mlmi(t)))).filter(|(_, direction)| *direction != 0).collect()
    };
    let events = all(|reading| reading.event);
    assert_eq!(events[..8], [(44, -1), (51, 1), (61, -1), (69, 1), (78, -1), (85, 1), (95, -1), (103, 1)]);
    assert_eq!(events.len(), 78);
    let signals = all(|reading| reading.signal);
    let wanted = [(61, -1), (70, 1), (78, -1), (85, 1), (97, -1), (104, 1), (114, -1), (121, 1), (131, -1), (138, 1)];
    assert_eq!(signals[..10], wanted);
}

/// ST-V15, last sentence: with 200 neighbours nothing is local any more.
#[test]
fn momentum_index_without_locality() {
    let mut index = Mlmi::new(&MlmiConfig { neighbours: 200, ..MlmiConfig::default() });
    let values: Vec<Option<f64>> = generated(700).iter().map(|bar| index.push(bar.close).map(|reading| reading.value)).collect();
    for (t, wanted) in [(119, 50.0), (300, 53.333_333_33), (699, 51.948_051_95)] {
        near(values[t].unwrap(), wanted);
    }
    assert_eq!(index.examples(), 77);
}

/// ST-V16: estimate, range, slope and its changes of sign.
#[test]
fn kernel_regression() {
    for (t, wanted) in [(26, 101.554_796_85), (60, 103.253_880_85), (698, 134.003_947_49), (699, 134.261_773_71)] {
        near(nwrqk(t).value, wanted);
    }
    assert_eq!(at(25).readings.nwrqk, None);
    near(at(14).readings.atr.unwrap(), 1.577_215_80);
    near(at(699).readings.atr.unwrap(), 1.648_558_79);
    assert_eq!(at(13).readings.atr, None);
    near(nwrqk(60).slope.unwrap(), 0.022_691_71);
    near(nwrqk(699).slope.unwrap(), 0.156_394_92);
    let flips: Vec<(u64, i8)> = (30..700).map(|t| (t, nwrqk(t).signal)).filter(|(_, direction)| *direction != 0).collect();
    assert_eq!(flips[..6], [(34, 1), (43, -1), (50, 1), (61, -1), (69, 1), (77, -1)]);
    assert_eq!(flips.len(), 83);
    let steep_at_once = flips.iter().filter(|(t, _)| nwrqk(*t).slope.unwrap().abs() > 0.05).count();
    assert_eq!(steep_at_once, 21);
}

/// ST-V16: what fires.
#[test]
fn signals_for_the_synergy() {
    let mut source = SignalSource::new(SynergyConfig::default());
    let mut fired: [Vec<(u64, i8)>; 2] = Default::default();
    for t in 0..700 {
        for (list, signal) in fired.iter_mut().zip(source.push(at(t))) {
            list.extend(signal.map(|signal: Signal| (signal.slot(), signal.direction())));
        }
    }
    let [mlmi, nwrqk] = fired;
    assert_eq!(nwrqk[..8], [(35, 1), (51, 1), (61, -1), (69, 1), (78, -1), (85, 1), (96, -1), (104, 1)]);
    assert_eq!(nwrqk.len(), 70);
    assert_eq!(mlmi[..8], [(104, 1), (114, -1), (121, 1), (131, -1), (138, 1), (148, -1), (155, 1), (171, 1)]);
    assert_eq!(mlmi.len(), 60);
}

/// ST-V17
#[test]
fn low_volume_nodes() {
    let node =
        |t: u64| -> (Option<Node>, f64) { at(t).readings.lvn.map(|reading| (reading.node, reading.distance_share)).unwrap() };
    let (last, share) = node(699);
    all_near(&[last.unwrap().level, last.unwrap().strength, share], &[136.864_624_82, 0.754_729_37, 0.009_648_32]);
    let (earlier, share) = node(300);
    all_near(&[earlier.unwrap().level, share, earlier.unwrap().strength], &[115.254_678_93, 0.226_725_55, 0.755_166_82]);
    near(at(300).candle.close, 114.229_245_61);
    near(at(300).readings.atr.unwrap(), 1.507_598_53);
    assert_eq!((100..700).filter(|t| node(*t).0.is_some()).count(), 547);
}

/// ST-V18
#[test]
fn volatility_momentum_and_skew() {
    let volatility = |t| at(t).readings.volatility.unwrap();
    assert_eq!(at(29).readings.volatility, None);
    near(volatility(30).deviation, 0.007_677_76);
    near(volatility(100).deviation, 0.007_340_59);
    assert!((volatility(699).deviation - 0.006_251_756_7).abs() < 1e-9);
    all_near(&[30, 100, 699].map(|t| volatility(t).ratio), &[1.0, 0.899_174_81, 0.922_423_01]);
    let last = at(699).readings;
    all_near(
        &[last.momentum_20.unwrap(), last.momentum_50.unwrap(), last.skew.unwrap()],
        &[0.023_135_06, 0.018_186_64, 0.455_577_27],
    );
}

/// ST-V19
#[test]
fn discrepancy() {
    assert_eq!(at(545).readings.mmd, None);
    let mmd = |t| at(t).readings.mmd.unwrap();
    all_near(&[546, 600, 699].map(|t| mmd(t).score), &[0.029_589_18, 0.091_838_69, 0.080_211_18]);
    let last = mmd(699);
    all_near(&[last.squared, last.sigma], &[0.006_433_83, 1.884_820_82]);
    all_near(&last.medians, &[0.000_236_01, 0.012_741_54, -0.003_838_78]);
    all_near(&last.scales, &[0.007_240_91, 0.004_627_68, 0.223_565_98]);
}

/// Rows of ST-V20.
const ROWS: [(u64, [f64; 13]); 3] = [
    (
        600,
        [
            1.0,
            0.0,
            -0.368_748_49,
            0.093_686_35,
            0.022_162_79,
            0.911_243_22,
            -0.130_526_19,
            -0.991_444_86,
            0.111_962_69,
            0.156_203_59,
            0.091_838_69,
            -0.022_909_81,
            -0.134_084_14,
        ],
    ),
    (
        652,
        [
            1.0,
            0.0,
            -0.154_716_02,
            0.054_358_18,
            0.143_227_88,
            0.776_754_78,
            -0.608_761_43,
            -0.793_353_34,
            0.092_640_86,
            0.158_355_58,
            0.057_837_16,
            -0.040_969_59,
            0.023_790_24,
        ],
    ),
    (
        699,
        [
            0.2,
            1.0,
            -0.387_192_06,
            0.078_197_46,
            0.009_648_32,
            0.754_729_37,
            -0.5,
            -0.866_025_40,
            0.275_824_2,
            0.137_133_67,
            0.080_211_18,
            -0.040_375_68,
            0.151_859_09,
        ],
    ),
];

/// ST-V20, ST-V13 (first part)
#[test]
fn rows_of_the_matrix() {
    for (t, wanted) in ROWS {
        all_near(&at(t).row.unwrap(), &wanted);
    }
    let matrix = STATE.matrix(699).unwrap();
    let wanted = [
        0.016_666_67,
        0.0,
        -0.026_184_89,
        0.010_451_16,
        0.218_860_24,
        0.757_660_16,
        0.0,
        0.0,
        0.086_737_73,
        0.142_083_82,
        0.086_418_99,
        -0.049_476_94,
        0.059_954_62,
    ];
    all_near(&pooled(matrix), &wanted);
    let checked = CheckedMatrix::new(matrix.as_flattened(), 13, MatrixPolicy::default()).unwrap();
    assert_eq!((checked.rows(), checked.degraded().any()), (&matrix[..], false));
    all_near(&checked.pooled(), &wanted);
    let newest: Vec<f64> = matrix[47].iter().map(|cell| f64::from(*cell)).collect();
    all_near(&newest, &at(699).row.unwrap());
}

/// ST-18: 547 bars to the first row, 594 to the first matrix; short windows in between (ST-15).
#[test]
fn warm_up() {
    assert_eq!(at(545).row, None);
    assert!(at(546).row.is_some());
    assert_eq!((STATE.matrix(592), STATE.window(545)), (None, None));
    assert!(STATE.matrix(593).is_some());
    assert_eq!(STATE.window(546).unwrap().len(), 1);
    assert_eq!(STATE.window(575).unwrap(), &STATE.matrix(593).unwrap()[..30]);
    assert_eq!(STATE.window(699).unwrap().len(), 48);
    assert_eq!(STATE.matrix(700), None, "not known yet");
}

/// ST-10, ST-11: the shared context takes the ratio itself and the hour of the bar's close.
#[test]
fn context_of_the_last_bar() {
    let last = at(699);
    let context = SharedContext::new(None, last.readings.volatility.map(|v| v.ratio), last.candle.close_time);
    all_near(&context.values, &[0.0, 0.0, 0.922_423_01_f64.ln(), -0.5, -0.866_025_40, 0.0]);
}

/// The average of the true range is the one of ST-19: the first bar has no range.
#[test]
fn first_range_needs_a_previous_close() {
    let mut atr = Atr::new(14);
    let first = generated(20).iter().position(|bar| atr.push(bar.high, bar.low, bar.close).is_some());
    assert_eq!(first, Some(14));
}
