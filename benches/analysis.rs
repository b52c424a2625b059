//! Analysis of short questions beside what it is made of: bare OpenCC and bare jieba on the same texts.
//!
//! `cargo bench --bench analysis`. Each figure is for a whole set of questions; the last lines give the ratio
//! `analyse` / (OpenCC + jieba), fastest round against fastest round, which should stay at 2 or below.
#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use criterion::{Criterion, Throughput};
use jieba_rs::Jieba;
use opencc_rust::{DefaultConfig, OpenCC, generate_static_dictionary};
use yingda::analysis::Analyzer;
use yingda::faq::load::built_in_analyzer;

/// The three parts of one group, by name.
const PARTS: [&str; 3] = ["opencc", "jieba", "analyse"];

/// Most that the whole may take, in times of its parts.
const BAR: f64 = 2.0;

fn main() -> anyhow::Result<()> {
    let analyzer = built_in_analyzer()?;
    let folder = tempfile::tempdir()?;
    let opencc = bare_opencc(folder.path())?;
    let jieba = Jieba::new();
    let fastest = Fastest::default();
    let mut criterion = Criterion::default().configure_from_args();
    for (script, questions) in [("simplified", SIMPLIFIED), ("traditional", TRADITIONAL)] {
        bench(&mut criterion, script, questions, &fastest, (&opencc, &jieba, &analyzer));
    }
    criterion.final_summary();
    report(&fastest);
    Ok(())
}

fn bare_opencc(folder: &std::path::Path) -> anyhow::Result<OpenCC> {
    generate_static_dictionary(folder, DefaultConfig::T2S).map_err(|what| anyhow!(what))?;
    OpenCC::new(folder.join(DefaultConfig::T2S.get_file_name())).context("OpenCC cannot be loaded")
}

fn bench(
    criterion: &mut Criterion,
    script: &'static str,
    questions: &[&str],
    fastest: &Fastest,
    (opencc, jieba, analyzer): (&OpenCC, &Jieba, &Analyzer),
) {
    let mut group = criterion.benchmark_group(script);
    group.throughput(Throughput::Elements(questions.len() as u64));
    let mut measure = |part: &'static str, work: &dyn Fn(&str)| {
        group.bench_function(part, |bencher| {
            bencher.iter_custom(|rounds| {
                (0..rounds)
                    .map(|_| {
                        let started = Instant::now();
                        questions.iter().for_each(|question| work(black_box(question)));
                        let took = started.elapsed();
                        fastest.note((script, part), took);
                        took
                    })
                    .sum()
            });
        });
    };
    measure(PARTS[0], &|question| drop(black_box(opencc.convert(question))));
    measure(PARTS[1], &|question| drop(black_box(jieba.cut(question, false))));
    measure(PARTS[2], &|question| drop(black_box(analyzer.analyse(question))));
    group.finish();
}

/// The fastest round of every part: the one that nothing else on the machine disturbed.
#[derive(Default)]
struct Fastest(RefCell<BTreeMap<(&'static str, &'static str), Duration>>);

impl Fastest {
    fn note(&self, part: (&'static str, &'static str), took: Duration) {
        let mut known = self.0.borrow_mut();
        let best = known.entry(part).or_insert(took);
        *best = took.min(*best);
    }
}

/// Says nothing of a script whose parts were filtered out, or only run once by `--test`.
fn report(fastest: &Fastest) {
    let fastest = fastest.0.borrow();
    println!("\nmicroseconds a question, fastest of all rounds");
    for (script, questions) in [("simplified", SIMPLIFIED.len()), ("traditional", TRADITIONAL.len())] {
        let micros = |part| {
            let took: &Duration = fastest.get(&(script, part))?;
            Some(took.as_secs_f64() * 1e6 / questions as f64)
        };
        let [Some(opencc), Some(jieba), Some(analyse)] = PARTS.map(micros) else {
            continue;
        };
        let ratio = analyse / (opencc + jieba);
        let verdict = if ratio <= BAR { "within" } else { "OVER" };
        println!(
            "{script:<12} opencc {opencc:6.2}  jieba {jieba:6.2}  analyse {analyse:6.2}  ratio {ratio:5.2}  {verdict} the bar of {BAR}"
        );
    }
}

const SIMPLIFIED: &[&str] = &[
    "亲，我昨天拍的两件还没寄，今天能走吗",
    "请问到新疆要不要加运费",
    "这条牛仔裤偏大还是偏小",
    "身高一米六五体重五十三公斤穿什么码",
    "退货的钱几天能到我卡里",
    "快递显示已签收可是我没拿到",
    "麻烦帮我把收货地址改到公司",
    "优惠券为啥用不了",
    "两张券可以叠加吗",
    "发票能开公司抬头吗？",
    "电子发票发到哪个邮箱",
    "你们家是正品吗，支持验货不",
    "羊毛衫可以机洗吗",
    "洗了一次就起球了怎么办",
    "保修多久，坏了找谁修",
    "收到少了一个配件",
    "颜色跟图片差太多了我要退",
    "换货的邮费谁出",
    "断货的那款还会补吗",
    "黑色L码什么时候有货",
    "付款失败但是扣钱了！！",
    "能不能货到付款",
    "支持花呗分期吗",
    "会员积分怎么换礼品",
    "生日有优惠吗",
    "双十一会不会更便宜",
    "刚买完就降价，补差价吧",
    "预售的尾款什么时候付",
    "定金可以退不",
    "订单取消了钱退哪里去了",
    "拍错了想改成大一号",
    "两个订单能一起发吗",
    "发什么快递，可以指定顺丰吗",
    "物流三天没动了帮忙催一下",
    "包裹破了还能拒收吗",
    "可以送货上门吗，我家没电梯",
    "海外能寄吗，关税怎么算",
    "奶粉保质期到哪天",
    "电池能用几个小时",
    "充电器是国标的吗",
    "这个和上一代有什么区别",
    "有没有教程，不会装",
    "客服在吗，问个事",
    "半天没人回，转人工",
    "我要投诉你们快递员",
    "评价返现还有吗",
    "买三送一是怎么算的",
    "满 299 减 40 和店铺券能一起用么",
    "送人的，能不能不放小票",
    "wifi 连不上是不是坏了",
];

const TRADITIONAL: &[&str] = &[
    "請問我昨天訂的兩件還沒寄出，今天會出貨嗎",
    "寄到離島要另外加運費嗎",
    "這條牛仔褲版型偏大還是偏小",
    "身高一六五體重五十三公斤要穿什麼尺寸",
    "退貨的錢幾天會退到我的帳戶",
    "物流顯示已取貨可是我沒領到",
    "麻煩幫我把收件地址改到公司",
    "折價券為什麼不能用",
    "兩張優惠券可以合併使用嗎",
    "發票可以打統編嗎？",
    "電子發票會寄到哪個信箱",
    "你們賣的是正品嗎，可以驗貨嗎",
    "羊毛衣可以用洗衣機洗嗎",
    "洗了一次就起毛球了怎麼辦",
    "保固多久，壞掉要找誰修",
    "收到的東西少了一個配件",
    "顏色跟照片差太多我要退貨",
    "換貨的運費誰要付",
    "缺貨的那款還會再補嗎",
    "黑色L號什麼時候有貨",
    "刷卡失敗可是被扣款了！！",
    "可以貨到付款嗎",
    "有支援信用卡分期嗎",
    "會員點數要怎麼換贈品",
    "生日當月有優惠嗎",
    "雙十一會不會更便宜",
    "剛買完就降價，可以補差價嗎",
    "預購的尾款什麼時候要付",
    "訂金可以退嗎",
    "訂單取消了錢退到哪裡",
    "下錯單想改成大一號",
    "兩筆訂單可以一起寄嗎",
    "用哪家宅配，可以指定黑貓嗎",
    "物流三天沒更新了幫忙催一下",
    "包裹破掉還能拒收嗎",
    "可以送到府嗎，我家沒電梯",
    "國外可以寄嗎，關稅怎麼算",
    "奶粉的有效期限到哪天",
    "電池可以用幾個小時",
    "充電器的插頭是台灣規格嗎",
    "這個跟上一代差在哪裡",
    "有沒有教學，我不會安裝",
    "客服在嗎，想請教一下",
    "等半天沒人回，轉真人客服",
    "我要客訴你們的送貨員",
    "咁幾時先有貨㗎",
    "買三送一是怎麼計算的",
    "滿 1500 折 200 跟店家券可以一起用嗎",
    "要送人的，可以不要放明細嗎",
    "唔該，幾多日先寄到香港",
];
