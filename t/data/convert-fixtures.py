#!/usr/bin/python3
# Files for t/handlers-file-conversion.t, into the directory that is named, with a port that nobody is to
# call: spreadsheets as their standards have
# them, written by hand, and what an attacker would send.
import os, struct, sys, zipfile, zlib

os.chdir(sys.argv[1])

REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def xlsx(name, sheets, strings="", styles="", pr="", more=()):
    rels = [(f"s{i}", "worksheet", f"worksheets/sheet{i}.xml") for i in range(len(sheets))]
    rels += [("strings", "sharedStrings", "sharedStrings.xml"), ("styles", "styles", "/xl/styles.xml")]
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("[Content_Types].xml", f'{XML}<Types xmlns="{PACKAGE}/content-types"/>')
        z.writestr("_rels/.rels", f'{XML}<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r" '
                   f'Type="{REL}/officeDocument" Target="xl/workbook.xml"/></Relationships>')
        z.writestr("xl/_rels/workbook.xml.rels", f'{XML}<Relationships xmlns="{PACKAGE}/relationships">' + "".join(
            f'<Relationship Id="{i}" Type="{REL}/{t}" Target="{p}"/>' for i, t, p in rels) + "</Relationships>")
        z.writestr("xl/workbook.xml", f'{XML}<workbook xmlns="{MAIN}" xmlns:r="{REL}"><workbookPr {pr}/><sheets>' + "".join(
            f'<sheet name="{n}" sheetId="{i + 1}" r:id="s{i}"/>' for i, (n, _) in enumerate(sheets)) + "</sheets></workbook>")
        z.writestr("xl/sharedStrings.xml", f'{XML}<sst xmlns="{MAIN}">{strings}</sst>')
        z.writestr("xl/styles.xml", f'{XML}<styleSheet xmlns="{MAIN}">{styles}</styleSheet>')
        for i, (_, rows) in enumerate(sheets):
            z.writestr(f"xl/worksheets/sheet{i}.xml",
                       rows if rows.startswith("<?xml") else
                       f'{XML}<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>')
        for part, data in more:
            z.writestr(part, data)


def ods(name, tables, prolog=""):
    spaces = " ".join(f'xmlns:{p}="urn:oasis:names:tc:opendocument:xmlns:{p}:1.0"' for p in ("office", "table", "text"))
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet", zipfile.ZIP_STORED)
        z.writestr("content.xml", f'{XML}{prolog}<office:document-content {spaces} '
                   'xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0">'
                   f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>")


styles = ('<numFmts><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd&quot; h&quot;"/><numFmt numFmtId="165" formatCode="[h]:mm:ss"/>'
          '<numFmt numFmtId="166" formatCode="[Red]0.00;[Blue]-0.00"/><numFmt numFmtId="167" formatCode="d/m/yyyy hh:mm"/></numFmts>'
          '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
          '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="166"/><xf numFmtId="167"/></cellXfs>')
strings = ('<si><t>name</t></si><si><t>amount</t></si><si><r><t>Zoë </t></r><r><t xml:space="preserve">&amp; Søn</t></r><rPh sb="0" eb="1"><t>no</t></rPh></si>'
           '<si><t>two_x000A_lines, "quoted"</t></si>')
rows = ('<row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2" t="s"><v>1</v></c><c r="C2" t="inlineStr"><is><t>day</t></is></c><c r="D2" t="str"><v>ok</v></c>'
        '<c r="F2" t="str"><f>"a"&amp;"b"</f><v>long</v></c></row>'
        '<row r="3"><c r="A3" t="s"><v>2</v></c><c r="B3" s="4"><v>0.10000000000000001</v></c><c r="C3" s="1"><v>45322</v></c><c r="D3" t="b"><v>1</v></c>'
        '<c r="F3" s="3"><v>1.5</v></c></row><row r="4"/>'
        '<row r="6"><c t="s"><v>3</v></c><c><v>-1234567</v></c><c s="5"><v>45322.75</v></c><c t="e"><v>#N/A</v></c><c s="2"><v>59</v></c></row>')
other = '<row r="1"><c r="A1" t="inlineStr"><is><t>only</t></is></c></row><row r="2"><c r="A2" s="1"><v>0</v></c></row>'
xlsx("book.xlsx", [("First &amp; best", rows), ("Other", other)], strings, styles)
xlsx("mac.xlsx", [("First", other)], "", styles, 'date1904="1"')
xlsx("bad-string.xlsx", [("S", '<row r="1"><c r="A1" t="s"><v>7</v></c></row>')])
xlsx("wide.xlsx", [("S", '<row r="1"><c r="XFD1"><v>7</v></c></row>')])

cell = lambda kind, attribute, value, text="": f'<table:table-cell office:value-type="{kind}" calcext:value-type="{kind}" office:{attribute}="{value}"><text:p>{text}</text:p></table:table-cell>'
text = lambda words, more="": f'<table:table-cell office:value-type="string" {more}>{words}</table:table-cell>'
empty = '<table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="16384"/></table:table-row>'
ods("sheet.ods",
    '<table:table table:name="Notes"><table:table-row>' + text("<text:p>n</text:p>") + '</table:table-row></table:table>'
    '<table:table table:name="Data"><table:table-column table:number-columns-repeated="16384"/><table:table-header-rows><table:table-row>'
    + text("<text:p>name</text:p>") + text("<text:p>x</text:p>", 'table:number-columns-repeated="2"') + text("<text:p>when</text:p>")
    + '<table:table-cell table:number-columns-repeated="16380"/></table:table-row></table:table-header-rows>'
    '<table:table-row>' + text('<office:annotation><text:p>a comment</text:p></office:annotation><text:p>a<text:s text:c="2"/>b</text:p><text:p>next<text:tab/><text:span>line</text:span></text:p>')
    + cell("float", "value", "0.10000000000000001", "0.1") + cell("percentage", "value", "0.25", "25 %") + cell("date", "date-value", "2024-01-31", "31/01/24") + '</table:table-row>'
    '<table:table-row table:number-rows-repeated="2">' + text("<text:p>twice</text:p>") + cell("boolean", "boolean-value", "true", "TRUE")
    + '<table:covered-table-cell/>' + cell("time", "time-value", "PT26H30M05S", "26:30:05") + f'</table:table-row>{empty}</table:table>')
ods("repeated.ods", '<table:table table:name="S"><table:table-row table:number-rows-repeated="1000000">' + text("<text:p>" + "x" * 10000 + "</text:p>") + '</table:table-row></table:table>')
ods("wide.ods", '<table:table table:name="S"><table:table-row>' + text("<text:p>x</text:p>", 'table:number-columns-repeated="10000000"') + '</table:table-row></table:table>')

# entities within entities, and one from outside
laughs = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(f'<!ENTITY {b} "{("&" + a + ";") * 10}">' for a, b in zip("abcdefgh", "bcdefghi")) + "]>"
xlsx("laughs.xlsx", [("S", f'{XML}{laughs}<worksheet xmlns="{MAIN}"><sheetData><row><c t="str"><v>&i;</v></c></row></sheetData></worksheet>')])
ods("outside.ods", '<table:table table:name="&x;"/>', '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>')


def bomb(name, part, megabytes):
    """One part more in a zip file, of so many megabytes of spaces: each MB is the same few bytes again. Its header lies."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = deflate.compress(b"<x>") + deflate.flush(zlib.Z_FULL_FLUSH)
    megabyte = deflate.compress(b" " * (1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    packed = head + megabyte * megabytes + deflate.flush()
    with zipfile.ZipFile(name) as z:
        count = len(z.infolist())
    with open(name, "r+b") as f:
        data = f.read()
        end = data.rindex(b"PK\5\6")
        size, at = struct.unpack("<II", data[end + 12:end + 20])
        fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0x21, 0, len(packed), 1000000, len(part), 0)
        f.seek(at)
        f.write(b"PK\3\4" + fields + part + packed)
        start = f.tell()
        central = data[at:at + size] + b"PK\1\2\x14\0" + fields + struct.pack("<HHHII", 0, 0, 0, 0, at) + part
        f.write(central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count + 1, count + 1, len(central), start, 0))


for name, megabytes in ("bomb.ods", 10240), ("small-bomb.ods", 60):
    with zipfile.ZipFile(name, "w") as z:
        z.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    bomb(name, b"content.xml", megabytes)
with zipfile.ZipFile("many.ods", "w") as z:
    z.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    for i in range(10001):
        z.writestr(f"p{i}", "")
with zipfile.ZipFile("plain.zip", "w") as z:
    z.writestr("a", "a")

# ---- images ----


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(name, width, height, colour, rows, depth=8):
    with open(name, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)))
        f.write(chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def pack(rows):
    return zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))


smooth = [[v for x in range(300) for v in (x * 255 // 299, y * 255 // 199, (x + y) * 255 // 498)] for y in range(200)]
png("photo.png", 300, 200, 2, pack(smooth))
png("grey.png", 64, 64, 0, pack([[(x * y) % 256 for x in range(64)] for y in range(64)]))
# green on the left, nothing (of red) on the right
png("alpha.png", 80, 40, 6, pack([[v for x in range(80) for v in ((0, 200, 0, 255) if x < 40 else (255, 0, 0, 0))] for y in range(40)]))
with open("photo.png", "rb") as f:
    whole = f.read()
with open("cut.png", "wb") as f:
    f.write(whole[: len(whole) // 2])


def zeros(row, times):
    """So many times the same bytes of nothing, packed: the same few bytes again, and the checksum that they have (RFC 1950)."""
    deflate = zlib.compressobj(9)
    head = deflate.compress(b"") + deflate.flush(zlib.Z_FULL_FLUSH)
    one = deflate.compress(bytes(row)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return head + one * times + deflate.flush()[:-4] + struct.pack(">I", row * times % 65521 << 16 | 1)


png("bomb.png", 60000, 60000, 0, zeros(7501 * 100, 600), depth=1)
png("large.png", 6000, 8000, 2, zeros(18001 * 100, 80))


def svg(name, body, attributes='width="40" height="20"', prolog=""):
    with open(name, "w") as f:
        f.write(f'{prolog}<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {attributes}>{body}</svg>')


svg("flag.svg", '<rect width="40" height="10" fill="#0000ff"/><rect y="10" width="40" height="10" fill="#ffff00"/>',
    prolog='<?xml version="1.0"?><!-- a flag --><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">')
svg("wide.svg", "", 'width="1000000" height="1000000"')
here = os.getcwd()
svg("outside.svg", f'<image xlink:href="file://{here}/photo.png" width="40" height="20"/><image href="{here}/photo.png" width="40" height="20"/>'
    f'<image href="photo.png" width="40" height="20"/><image href="http://127.0.0.1:{sys.argv[2]}/from-svg" width="40" height="20"/>'
    f'<style>@import url("http://127.0.0.1:{sys.argv[2]}/from-style");</style>'
    f'<image xlink:href="/etc/passwd" width="40" height="20"/><use xlink:href="file://{here}/flag.svg#x"/>')
svg("entity.svg", '<text y="15" font-size="10">&x;&x;</text>', prolog='<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>')
svg("laughs.svg", '<text y="15">&i;</text>', prolog=laughs)
