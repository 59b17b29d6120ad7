"""Numbers with what makes them one quantity: sign, currency, unit, month, magnitude.

A number here is digits and what joins them: 1.000,50 and 1,000.50, 12:30, 2024-01-05, 3/4, v1.2.3, 10–20, 1e-9, +49 30
1234. It knows no arithmetic and no calendar, and numbers written out in words only in Chinese and Japanese.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stillroom.prompts.span import LETTERS, whole

UNITS = """
kg g mg µg μg t lb lbs oz st km m dm cm mm µm μm nm mi ft yd inch inches l L dl cl ml mL µl gal pt ha
s sec ms µs ns h hr hrs min mins d wk yr am pm AM PM a.m. p.m.
W kW MW GW TW Wh kWh MWh GWh TWh J kJ MJ cal kcal N kN Nm Pa hPa kPa MPa bar mbar psi V mV kV A mA Ah mAh
Hz kHz MHz GHz K F C dB rpm mol mmol ppm ppb px pp dpi fps mph kmh kph hp PS
bps kbps Mbps Gbps bit bits byte bytes B kB KB MB GB TB PB KiB MiB GiB TiB
EUR USD GBP CHF JPY CNY RMB INR CAD AUD SEK NOK DKK PLN CZK HUF BRL MXN RUB KRW TRY ZAR HKD SGD BTC ETH
€ $ £ ¥ ₹ ₽ ₩ ₺ dollar dollars euro euros cent cents pound pounds pence yen yuan franken rupees rupien pesos reais
k M bn mn mio mrd tsd hundred thousand million millions billion billions trillion trillions dozen
hundert tausend millionen milliarde milliarden billionen mille millier milliers milliard milliards
mil millón millones mila milione milioni miliardo miliardi milhão milhões bilhão bilhões тыс млн млрд
percent prozent percentage points
second seconds minute minutes hour hours day days week weeks month months quarter quarters year years century
sekunde sekunden minuten stunde stunden tag tage tagen woche wochen monat monate monaten jahr jahre jahren uhr
seconde secondes heure heures jour jours semaine semaines mois an ans année années
segundo segundos minuto minutos hora horas día días semana semanas mes meses año años
secondo secondi minuti ora ore giorno giorni settimana settimane mese mesi anno anni dia dias mês ano anos
год года лет г час часов дней руб рублей кг км
meter meters metre metres kilometer kilometers kilometre kilometres mile miles foot feet yards meilen
mètre mètres kilomètre kilomètres metro metros kilómetro kilómetros metri chilometri quilômetros
gram grams gramm kilogram kilograms kilogramm kilo kilos ton tons tonne tonnes tonnen pfund ounce ounces
liter liters litre litres litro litros litri gallons grad degree degrees degrés grados watt watts volt hertz
"""
MONTHS = """
january february march april may june july august september october november december
jan feb mar apr jun jul aug sep sept oct nov dec januar februar märz mai juni juli oktober dezember
janvier février mars avril juin juillet août septembre octobre novembre décembre
enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
gennaio febbraio aprile maggio giugno luglio settembre ottobre novembre dicembre
janeiro fevereiro março maio junho julho setembro outubro novembro dezembro
"""
# what stands before its number, besides months: currencies, and "number", "article", "page", "version" in short
LEADERS = """
eur usd gbp chf jpy cny rmb inr cad aud sek nok dkk pln brl us hk
no nos nr nº num art abs p pp s v ver version vol ch chap kap fig abb eq
"""

_DIGIT = r"\d¼-¾⅐-⅞"
_SIGN = r"#$€£¥₹₽₩₺₫฿¢§№±~≈<>≤≥+\-−"
_GAPS = {" ", "\u00a0", "\u202f", "."}
_SPACE = "[ \u00a0\u202f]"
_CJK_DIGIT = "零〇一二三四五六七八九十百千万億亿两兩"
_CJK_UNIT = (
    "小时|小時|分钟|分鐘|时间|時間|美元|欧元|歐元|人民[币幣]|[公英毫厘千平立][斤里克米升方]"
    "|[%％‰℃年月日号號時时点點分秒元円块塊角斤克吨噸米升度岁歳歲人名位次届屆倍个個条項项章节節页頁万萬亿億원년월일시분초명개]"
)
_NUMBER = re.compile(
    rf"[{_DIGIT}{_SIGN}]"
    rf"(?:(?<=[{_DIGIT}])|[{_SIGN}]{{0,2}}+{_SPACE}?+(?:\d|[.](?=\d)))"
    r"(?<!\\u.)(?<!\\u..)(?<!\\u...)(?<!\\u....)"  # not the digits of JSON's \u00e9
    rf"(?:[{_DIGIT}{LETTERS}]|[.,:;/'’·⁄×^–=*{_SIGN}](?=\d)|[-‐'’._@/&+=](?=[{LETTERS}])|,?{_SPACE}(?=\d)"
    rf"|{_SPACE}?\(\d{{1,5}}\){_SPACE}?(?=\d)|{_CJK_UNIT})*+"
    rf"(?:{_SPACE}?[%‰％°℃℉€$£¥₹₽₩₺¢′″](?:[CF](?!\w))?)?"
)
_AREA_CODE = re.compile(rf"\(\d{{2,5}}\){_SPACE}?[\d\-/]")
_CJK_NUMBER = re.compile(f"[第{_CJK_DIGIT}][{_CJK_DIGIT}]+(?:{_CJK_UNIT})*")  # 一 alone is mostly "a"
_UNITS = frozenset((UNITS + MONTHS).split())
_LEADERS = frozenset((LEADERS + MONTHS).split())
_UNIT = re.compile(
    rf"(?:{_SPACE}|-)?(?:(?:de|of|per|pro|par|por) )?([ap]\.m\.|[^\W\d_]{{1,16}}+|[€$£¥₹₽₩₺])(?: del? (?=\d))?"
)


def numbers(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the numbers are, each with its sign, currency, unit or month."""
    for match in _NUMBER.finditer(text):
        start, end = match.span()
        if text[start - 1 : start] in _GAPS:
            leader = text[max(0, start - 12) : start].split()[-1:]  # long enough for "September. "
            if leader and (leader[0] == "." or leader[0].lstrip("([").rstrip(".").lower() in _LEADERS):
                start = text.rindex(leader[0], 0, start)
        if end - start <= 2 and text.startswith(". ", end):
            end += 1  # an ordinal of German and its neighbours: 3. Oktober
        for _ in range(3):  # 5 million euros, 3 Mio. €, 5 de enero de
            unit = _UNIT.match(text, end + text.startswith(". ", end))
            if unit is None or not (unit[1] in _UNITS or (len(unit[1]) > 2 and unit[1].lower() in _UNITS)):
                break
            end = unit.end()
        yield whole(text, start, end)
    for pattern in (_AREA_CODE, _CJK_NUMBER):
        for match in pattern.finditer(text):
            yield match.span()
