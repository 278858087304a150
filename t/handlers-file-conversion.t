# file_conversion: tables, documents and images in another format, compared with what Python and others make of them; what an
# attacker would send ends in an error that says what it was.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(slurp spew);
use TaskForge::Inside qw(refuses_inside);
use TaskForge::Process;
use TaskForge::WebServer;
use File::Path qw(make_path);
use JSON::PP ();

my $json = JSON::PP->new->canonical->utf8;
my $tf = TaskForge->start(dataset => 1, settings => {TASKFORGE_WORKER_CONCURRENCY => 2, TASKFORGE_OUTGOING_ALLOW => '127.0.0.2',
    TASKFORGE_CONVERSION_MAX_BYTES => 64 << 20, TASKFORGE_FILES_MAX_BYTES => 16 << 20});
my $data = "$tf->{home}/data";
my $work = "$tf->{home}/work";
make_path($work, "$data/sub");
my $web = TaskForge::WebServer->start($work, {'/export' => {type => 'text/csv; charset=utf-8', body => "a,b\n1,x\n", gzip => 1}, '/photo.jpg' => {body => "\x89PNG\r\n\x1A\n", type => 'image/jpeg'},
    '/book' => sub { return {type => 'application/octet-stream', body => slurp("$data/book.xlsx")} }});
TaskForge::Process::run('python3', "$FindBin::Bin/data/convert-fixtures.py", $data, $web->{port});

# Jobs are submitted as they are named and looked at in that order, so that they run side by side.
my @cases;
sub conversion { my ($title, $payload, $check) = @_; push @cases, {title => $title, check => $check, id => $tf->submit({type => 'file_conversion', payload => $payload})->{id}}; return }

# What the job made, as a file.
sub made {
    my ($job) = @_;
    my $name = $job->{result}{file} // die "$job->{id} made nothing";
    my $answer = $tf->api->get($job->{result}{file_url});
    die "$job->{result}{file_url}: " . $answer->status if $answer->status != 200;
    spew("$work/$name", $answer->body);
    return "$work/$name";
}

sub makes { # the very text
    my ($title, $payload, $text, $result) = @_;
    return conversion($title, $payload, sub {
        my ($job) = @_;
        is($job->{status}, 'SUCCESS', $title) or return diag $job->{error};
        is(slurp(made($job)), $text, '... the file');
        my %got = %{$job->{result}};
        is_deeply({map { $_ => $got{$_} } keys %$result}, $result, '... the result');
        is($got{bytes}, length $text, '... and its size');
        return;
    });
}

sub fails {
    my ($title, $payload, $error) = @_;
    return conversion($title, $payload, sub {
        my ($job) = @_;
        is($job->{status}, 'FAILED', $title);
        like($job->{error}, $error, '... and says why');
        return;
    });
}

sub python { my ($code, @args) = @_; open my $out, '-|', 'python3', '-c', $code, @args or die "python3: $!"; local $/; my $text = <$out>; close $out; return $text }

sub tool { my ($program, @args) = @_; open my $out, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', $program, @args or die "$program: $!"; local $/; my $text = <$out>; close $out; return $text }

# ---- CSV and JSON ----
spew("$data/people.csv", qq{name,age,zip,note\r\n"O'Neil, Bob",42,01234,"two\nlines"\n"say ""hi""",-1.50,,\xC3\xA9\n});
my @people = (['name', 'age', 'zip', 'note'], ["O'Neil, Bob", 42, '01234', "two\nlines"]);
makes('CSV to JSON', {input => 'people.csv', to => 'json'},
    qq([\n{"name":"O'Neil, Bob","age":42,"zip":"01234","note":"two\\nlines"},\n{"name":"say \\"hi\\"","age":-1.50,"zip":null,"note":"\xC3\xA9"}\n]\n),
    {status => 'completed', input => 'people.csv', from => 'csv', to => 'json', file => 'people.json', rows => 2, columns => 4});
makes('... to JSON lines, numbers as they stand', {filename => 'people.csv', format => 'ndjson', options => {numbers => JSON::PP::false}},
    qq({"name":"O'Neil, Bob","age":"42","zip":"01234","note":"two\\nlines"}\n{"name":"say \\"hi\\"","age":"-1.50","zip":null,"note":"\xC3\xA9"}\n), {to => 'jsonl', rows => 2});
makes('... to TSV', {input => 'people.csv', to => 'tsv'}, qq{name\tage\tzip\tnote\nO'Neil, Bob\t42\t01234\t"two\nlines"\n"say ""hi"""\t-1.50\t\t\xC3\xA9\n}, {to => 'tsv', file => 'people.tsv'});
spew("$data/semi.csv", "\xEF\xBB\xBFa;a;\n1,5;2;3\n");
makes('fields between semicolons; names that are there twice, or not at all', {input => 'semi.csv', to => 'jsonl', options => {delimiter => ';'}}, qq({"a":"1,5","a_2":2,"column_3":3}\n), {columns => 3});

my $things = qq([ {"id" : 12345678901234567.10, "tags": ["a",  {"b":1}], "t": "x\\u00e9\\n"},\n {"t":null,"ok":true,"caf\\u00e9":"=1+1"}, {} ]\n);
spew("$data/things.json", $things);
makes('JSON to CSV: the columns of all objects', {input => 'things.json', to => 'csv'},
    qq(id,tags,t,ok,caf\xC3\xA9\n12345678901234567.10,"[""a"",  {""b"":1}]","x\xC3\xA9\n",,\n,,,true,=1+1\n,,,,\n), {rows => 3, columns => 5});
makes('JSON to JSON lines: nothing is rewritten', {input => 'things.json', to => 'jsonl'},
    qq({"id":12345678901234567.10,"tags":["a",{"b":1}],"t":"x\\u00e9\\n"}\n{"t":null,"ok":true,"caf\\u00e9":"=1+1"}\n{}\n), {rows => 3});
spew("$data/lines", qq({"a": 1}\n{"a": "]"}\n));
makes('JSON lines to JSON, known by what is in them', {input => 'lines', to => 'json', name => 'array.json'}, qq([\n{"a":1},\n{"a":"]"}\n]\n), {from => 'jsonl', file => 'array.json'});
spew("$data/empty.json", '[]');
makes('an empty array', {input => 'empty.json', to => 'csv'}, '', {rows => 0, columns => 0});

conversion('50,000 rows of CSV', {input => 'sales_q1.csv', to => 'jsonl'}, sub {
    my ($job) = @_;
    is($job->{result}{rows}, 50_000, '50,000 rows of CSV to JSON lines') or diag $job->{error};
    is(python('import csv, json, sys; a = [json.loads(l) for l in open(sys.argv[1])]; b = list(csv.DictReader(open(sys.argv[2]))); '
            . 'print(len(a), all(list(x) == list(y) and all(v == (float(y[k]) if isinstance(v, (int, float)) else y[k] or None) for k, v in x.items()) for x, y in zip(a, b)), '
            . 'sorted({k for x in a for k, v in x.items() if isinstance(v, (int, float))}))', made($job), "$data/sales_q1.csv"),
        "50000 True ['discount', 'order_id', 'revenue', 'unit_price', 'units']\n", '... is what Python reads from the CSV');
    return;
});

# ---- spreadsheets ----
my $first = qq(name,amount,day,ok,,long\nZo\xC3\xAB & S\xC3\xB8n,0.1,2024-01-31,true,,36:00:00\n"two\nlines, ""quoted""",-1234567,2024-01-31T18:00:00,#N/A,1900-02-28,\n);
makes('XLSX to CSV: shared and inline strings, numbers, booleans, dates', {input => 'book.xlsx', to => 'csv'}, $first, {from => 'xlsx', rows => 2, columns => 6, sheet => 'First & best'});
makes('... a sheet by its number', {input => 'book.xlsx', to => 'json', options => {sheet => 2}}, qq([\n{"only":"1899-12-31"}\n]\n), {sheet => 'Other'});
makes('... by its name; days from 1904', {input => 'mac.xlsx', to => 'csv', options => {sheet => 'First'}}, "only\n1904-01-01\n", {sheet => 'First'});
makes('ODS to JSON: repeated cells and rows, comments left out', {input => 'sheet.ods', to => 'json', options => {sheet => 'Data'}},
    qq([\n{"name":"a  b\\nnext\\tline","x":0.1,"x_2":0.25,"when":"2024-01-31"},\n) . join(",\n", (qq({"name":"twice","x":true,"x_2":null,"when":"26:30:05"})) x 2) . "\n]\n",
    {from => 'ods', rows => 3, columns => 4, sheet => 'Data'});
fails('a sheet that is not there', {input => 'sheet.ods', to => 'csv', options => {sheet => 3}}, qr/^sheet\.ods: there is no sheet 3 \(it has 2\)$/);
fails('... nor by that name', {input => 'book.xlsx', to => 'csv', options => {sheet => 'first'}}, qr/^book\.xlsx: there is no sheet "first" \(it has 2\)$/);

my $read = <<'END';
import json, sys, zipfile, xml.etree.ElementTree as E
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
n = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
for part in z.namelist():
    if part.endswith((".xml", ".rels")):
        E.fromstring(z.read(part))
print(E.fromstring(z.read("xl/workbook.xml")).find(f"{n}sheets/{n}sheet").get("name"))
for row in E.fromstring(z.read("xl/worksheets/sheet1.xml")).iter(f"{n}row"):
    print(json.dumps([[c.get("r"), c.get("t"), "".join(t.text or "" for t in c.iter() if t.tag in (f"{n}v", f"{n}t"))] for c in row]))
END
sub workbook {
    my ($title, $payload, $sheet, @rows) = @_;
    return conversion($title, $payload, sub {
        my ($job) = @_;
        is($job->{status}, 'SUCCESS', $title) or return diag $job->{error};
        my ($name, @got) = split /\n/, python($read, made($job));
        is($name, $sheet, '... the name of its sheet');
        is_deeply([map { $json->decode($_) } @got], \@rows, '... its cells, as Python finds them');
        return;
    });
}
workbook('CSV to XLSX', {input => 'people.csv', to => 'xlsx', options => {sheet => 'People'}}, 'People',
    [map { ["$_->[0]1", 'inlineStr', $_->[1]] } [A => 'name'], [B => 'age'], [C => 'zip'], [D => 'note']],
    [['A2', 'inlineStr', "O'Neil, Bob"], ['B2', undef, 42], ['C2', 'inlineStr', '01234'], ['D2', 'inlineStr', "two\nlines"]],
    [['A3', 'inlineStr', 'say "hi"'], ['B3', undef, -1.5], ['D3', 'inlineStr', "\x{e9}"]]);
workbook('JSON to XLSX: no formulas, no digit lost', {input => 'things.json', to => 'xlsx'}, 'Sheet1',
    [map { ["$_->[0]1", 'inlineStr', $_->[1]] } [A => 'id'], [B => 'tags'], [C => 't'], [D => 'ok'], [E => "caf\x{e9}"]],
    [['A2', 'inlineStr', '12345678901234567.10'], ['B2', 'inlineStr', '["a",  {"b":1}]'], ['C2', 'inlineStr', "x\x{e9}\n"]],
    [['D3', 'b', 1], ['E3', 'inlineStr', '=1+1']]);
my @twice;
conversion('the same table twice', {input => 'sales_q1.csv', to => 'xlsx', name => "sales$_.xlsx"}, sub { push @twice, slurp(made($_[0])); is($twice[-1], $twice[0], 'a table becomes the same file every time'); return }) for 1, 2;

# ---- Markdown ----
spew("$data/plan.md", <<'END');
The *first* `heading` & more
============================

<script>alert(1)</script>

| a | b |
|:--|--:|
| 1 | ~~2~~ |

[good](https://example.org/?a=1&b=2) [bad](javascript:alert(1)) ![](data:text/html,x) a <b onclick="x">b</b>
END
my $body = <<'END';
<h1>The <em>first</em> <code>heading</code> &amp; more</h1>
<p>&lt;script&gt;alert(1)&lt;/script&gt;
</p>
<table>
<thead>
<tr>
<th align="left">a</th>
<th align="right">b</th>
</tr>
</thead>
<tbody>
<tr>
<td align="left">1</td>
<td align="right"><del>2</del></td>
</tr>
</tbody>
</table>
<p><a href="https://example.org/?a=1&amp;b=2">good</a> <a href="">bad</a> <img src="" alt="" /> a &lt;b onclick=&quot;x&quot;&gt;b&lt;/b&gt;</p>
END
my %title = ('The first heading &amp; more' => {}, '&lt;i&gt;' => {options => {title => '<i>'}});
for my $title (sort keys %title) {
    conversion('Markdown', {input => 'plan.md', to => 'html', %{$title{$title}}}, sub {
        my ($job) = @_;
        is($job->{result}{file}, 'plan.html', 'Markdown to HTML') or return diag $job->{error};
        my $page = slurp(made($job));
        like($page, qr{\A<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n<title>\Q$title\E</title>\n}, '... a document with a title');
        is($page =~ s{\A.*<body>\n(.*)</body>\n</html>\n\z}{$1}sr, $body, '... as CommonMark has it, HTML within it shown, no link to a script');
        return;
    });
}

# ---- PDF ----
spew("$data/notes.txt", join '', map { "line $_ of a text \xE2\x80\x93 <b>as it is</b>\n" } 1 .. 150);
for my $case (['notes.txt', 'text', 150, qr/^\s*line 150 of a text \x{2013} <b>as it is<\/b>$/m], ['plan.md', 'markdown', 1, qr/^\s*The first heading & more$/m]) {
    my ($input, $from, $lines, $like) = @$case;
    conversion("$input to PDF", {input => $input, to => 'pdf'}, sub {
        my ($job) = @_;
        is($job->{result}{from}, $from, "$input to PDF") or return diag $job->{error};
        my $file = made($job);
        my $text = tool('pdftotext', '-layout', $file, '-');
        utf8::decode($text);
        like($text, $like, '... its text, as pdftotext finds it');
        is(scalar(() = $text =~ /^\s*line \d+ of/mg), $lines, '... all of it') if $from eq 'text';
        like(tool('pdfinfo', $file), qr/^Pages:\s+$job->{result}{pages}$/m, '... and its pages are counted');
        return;
    });
}

# ---- images ----
tool('convert', "$data/photo.png", "$data/photo.$_") for qw(webp gif tif);
tool('convert', "$data/photo.png", '-quality', 95, "$data/turned.jpg");
# what a camera writes that was held upright (Exif 2.3: ImageDescription and Orientation)
my $exif = "Exif\0\0II*\0" . pack 'V v vvVV vvVvv V a7', 8, 2, 0x10E, 2, 7, 38, 0x112, 3, 1, 6, 0, 0, 'secret';
spew("$data/turned.jpg", slurp("$data/turned.jpg") =~ s/^\xFF\xD8/"\xFF\xD8\xFF\xE1" . pack('n', 2 + length $exif) . $exif/er);
tool('convert', "$data/photo.png", '-colorspace', 'CMYK', '-quality', 95, "$data/print.jpeg");
tool('convert', "$data/photo.png", '-rotate', '90', "$work/upright.png");
tool('convert', '-size', '400x100', 'xc:#0000ff', 'xc:#ffff00', '-append', "$work/flag.png");

# like: the file it must resemble, after what ImageMagick does to it.
sub image {
    my ($title, $payload, $expected, $like, @how) = @_;
    return conversion($title, $payload, sub {
        my ($job) = @_;
        is($job->{status}, 'SUCCESS', $title) or return diag $job->{error};
        my $file = made($job);
        my ($type, $width, $height) = split ' ', tool('identify', '-format', '%m %w %h', $file);
        is("$type $width $height", $expected, '... as identify says');
        is_deeply([@{$job->{result}}{qw(width height bytes)}], [$width, $height, -s $file], '... and the result');
        if ($like) {
            tool('convert', $like, @how, "$work/like.png");
            cmp_ok(tool('compare', '-metric', 'RMSE', $file, "$work/like.png", 'null:') =~ /\(([\d.e-]+)\)/ ? $1 : 1, '<', 0.045, '... it looks as ImageMagick would make it');
        }
        return;
    });
}
image('PNG to JPEG', {input => 'photo.png', to => 'jpg'}, 'JPEG 300 200', "$data/photo.png");
image('... to PNG, the same', {input => 'photo.png', to => 'png'}, 'PNG 300 200', "$data/photo.png");
image('... to WebP, half as wide', {input => 'photo.png', to => 'webp', options => {width => 150, quality => 95}}, 'WEBP 150 100', "$data/photo.png", '-resize', '150x100!');
image('... within a square', {input => 'photo.png', to => 'png', options => {width => 100, height => 100}}, 'PNG 100 67', "$data/photo.png", '-resize', '100x67!');
image('... covering one', {input => 'photo.png', to => 'png', options => {width => 100, height => 100, fit => 'cover'}}, 'PNG 100 100', "$data/photo.png", '-resize', '150x100!', '-gravity', 'center', '-crop', '100x100+0+0', '+repage');
image('... stretched, and larger', {input => 'photo.png', to => 'png', options => {width => 200, height => 400, fit => 'fill'}}, 'PNG 200 400', "$data/photo.png", '-resize', '200x400!');
image("$_ to PNG", {input => "photo.$_", to => 'png'}, 'PNG 300 200', $_ eq 'gif' ? () : "$data/photo.png") for qw(webp gif tif);
image('a JPEG that lies on its side', {input => 'turned.jpg', to => 'png'}, 'PNG 200 300', "$work/upright.png");
image('... for the press', {input => 'print.jpeg', to => 'jpeg'}, 'JPEG 300 200');
image('grey', {input => 'grey.png', to => 'jpeg', options => {quality => 95}}, 'JPEG 64 64', "$data/grey.png");
image('what is transparent', {input => 'alpha.png', to => 'png', options => {width => 40}}, 'PNG 40 20', "$data/alpha.png", '-resize', '40x20!');
image('... on a background', {input => 'alpha.png', to => 'jpeg', options => {background => '#0000ff'}}, 'JPEG 80 40', "$data/alpha.png", '-background', '#0000ff', '-flatten');
image('SVG', {input => 'flag.svg', to => 'png', options => {width => 400}}, 'PNG 400 200', "$work/flag.png");
conversion('metadata', {input => 'turned.jpg', to => 'jpeg', name => 'bare.jpg'}, sub { unlike(slurp(made($_[0])), qr/secret|Exif/, 'nothing is left of what a camera wrote'); return });
conversion('metadata', {input => 'turned.jpg', to => 'jpeg', name => 'kept.jpg', options => {strip => JSON::PP::false}}, sub { like(slurp(made($_[0])), qr/secret/, '... unless it is asked for'); return });
for my $svg (qw(outside entity)) {
    conversion($svg, {input => "$svg.svg", to => 'png'}, sub {
        my ($job) = @_;
        return like($job->{error}, qr/^$svg\.svg: the image cannot be read: /, "SVG: $svg is refused") if $job->{status} eq 'FAILED';
        is(tool('identify', '-format', '%[fx:maxima.a]', made($job)), '0', "SVG: nothing is seen of what is outside ($svg)");
        return;
    });
}

# ---- no format asked for ----
makes('only a file: a CSV becomes JSON', {filename => 'semi.csv', options => {delimiter => ';'}, name => 'usual.json'}, qq([\n{"a":"1,5","a_2":2,"column_3":3}\n]\n), {from => 'csv', to => 'json'});
makes('... JSON becomes CSV', {input => 'empty.json'}, '', {from => 'json', to => 'csv', file => 'empty.csv'});
makes('... a workbook too', {input => 'book.xlsx', name => 'usual.csv'}, $first, {from => 'xlsx', to => 'csv'});
my %usual = ('sheet.ods' => 'csv', lines => 'csv', 'usual.tsv' => 'json', 'plan.md' => 'html', 'notes.txt' => 'pdf', 'photo.png' => 'jpeg', 'print.jpeg' => 'png', 'photo.gif' => 'png', 'flag.svg' => 'png');
spew("$data/usual.tsv", "a\tb\n1\t2\n");
for my $input (sort keys %usual) {
    conversion("$input alone", {input => $input}, sub { is($_[0]{result}{to}, $usual{$input}, "... $input becomes $usual{$input}") or diag $_[0]{error}; return });
}
spew("$data/page.html", '<!doctype html><title>x</title>');
fails('... and HTML nothing', {input => 'page.html'}, qr/^page\.html: html cannot be converted$/);

# ---- over HTTP ----
sub url { my ($target) = @_; return $web->url($target, '127.0.0.2') }
makes('a URL, of the format that the server says', {input => url('/export'), to => 'jsonl'}, qq({"a":1,"b":"x"}\n), {from => 'csv', file => 'export.jsonl'});
makes('... or the content, behind a redirect', {input => url('/redirect/307?' . url('/book')), to => 'csv', options => {sheet => 'Other'}}, "only\n1899-12-31\n", {from => 'xlsx', file => '307.csv'});
fails('... that says something else', {input => url('/photo.jpg'), to => 'png'}, qr/: the URL says jpeg, the content is png$/);
fails('a server that refuses', {input => url('/status/404'), to => 'csv'}, qr/^the server answered HTTP 404$/);
fails('a file that does not end', {input => url('/huge/100000000'), to => 'csv'}, qr/^the file is larger than 67108864 bytes$/);
fails('... packed', {input => url('/bomb/100000000'), to => 'csv'}, qr/^the file is larger than 67108864 bytes$/);
fails('a file: URL is a path', {input => 'file:///etc/passwd', to => 'json'}, qr{^file:///etc/passwd: });

# ---- what cannot work ----
spew("$data/picture.png", "name,age\na,1\n");
spew("$data/table.csv", "\x89PNG\r\n\x1A\n" . ("\0" x 100));
spew("$data/noise.csv", join '', map { chr } 128 .. 255);
spew("$data/word", 'just words');
spew("$data/bad.json", qq([{"a":1},\n{"a":}]));
spew("$data/ragged.csv", "a,b\n1\n");
spew("$data/numbers.json", '[1]');
spew("$data/nothing.csv", '');
spew("$data/old.xlsx", "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1");
my @bad = (
    ['a PNG that is text',       {input => 'picture.png', to => 'json'}, qr/^picture\.png: the extension says png, the content is text$/],
    ['a CSV that is an image',   {input => 'table.csv', to => 'json'}, qr/^table\.csv: the extension says csv, the content is png$/],
    ['... even if asked for',    {input => 'table.csv', from => 'tsv', to => 'json'}, qr/^table\.csv: "from" says tsv, the content is png$/],
    ['binary data',              {input => 'noise.csv', to => 'json'}, qr/^noise\.csv: the extension says csv, the content is binary data of no known kind$/],
    ['a text of no format',      {input => 'word', to => 'json'}, qr/^word: the content is text, which does not say of what format: "from" must$/],
    ['bad JSON',                 {input => 'bad.json', to => 'csv'}, qr/^bad\.json: line 2: object 2: /],
    ['no objects',               {input => 'numbers.json', to => 'csv'}, qr/^numbers\.json: line 1: value 1 is not an object$/],
    ['a short row',              {input => 'ragged.csv', to => 'json'}, qr/^ragged\.csv: line 2: 1 field where the first line has 2$/],
    ['an empty file',            {input => 'nothing.csv', to => 'json'}, qr/^nothing\.csv: the file is empty$/],
    ['no file',                  {input => 'none.csv', to => 'json'}, qr/^none\.csv: no such file/],
    ['a path out',               {input => '../conf/taskforge.env', to => 'json'}, qr/^\.\.\/conf\/taskforge\.env: leads out of the data directory$/],
    ['an absolute path',         {input => '/etc/passwd', from => 'csv', to => 'json'}, qr/^\/etc\/passwd: /],
    ['CSV to an image',          {input => 'people.csv', to => 'png'}, qr/^people\.csv: csv cannot be converted to png$/],
    ['CSV to CSV',               {input => 'people.csv', to => 'csv'}, qr/^people\.csv: csv cannot be converted to csv$/],
    ['an option of others',      {input => 'people.csv', to => 'json', options => {title => 'x'}}, qr/^people\.csv: the option "title" goes with html and pdf, not with csv to json$/],
    ['a bad option',             {input => 'people.csv', to => 'json', options => {delimiter => '"'}}, qr/^people\.csv: the option "delimiter" must be one character/],
    ['a bad name of a sheet',    {input => 'people.csv', to => 'xlsx', options => {sheet => 'a/b'}}, qr/^people\.csv: "a\/b" cannot be the name of a sheet/],
    ['a bad name',               {input => 'people.csv', to => 'json', name => '../x'}, qr/^payload: "name" must be/],
    ['two names of the input',   {input => 'people.csv', filename => 'people.csv', to => 'json'}, qr/^payload: "input"/],
    ['an old spreadsheet',       {input => 'old.xlsx', to => 'csv'}, qr/^old\.xlsx: the extension says xlsx, the content is an Office file of the old kind, or an encrypted one$/],
    ['a zip file',               {input => 'plain.zip', to => 'csv'}, qr/^plain\.zip: the content is a zip file that is no spreadsheet$/],
    ['a string that is missing', {input => 'bad-string.xlsx', to => 'csv'}, qr/^bad-string\.xlsx: cell A1: names a shared string that is not there$/],
    ['16,384 columns',           {input => 'wide.xlsx', to => 'csv'}, qr/^wide\.xlsx: column XFD: there are more than 1024 columns$/],
    ['... by repetition',        {input => 'wide.ods', to => 'csv'}, qr/^wide\.ods: column AMK: there are more than 1024 columns$/],
    ['10 GB of rows in 500 bytes',   {input => 'repeated.ods', to => 'csv'}, qr/^repeated\.ods: the result is larger than 16777216 bytes$/],
    ['10 GB of spaces in 10 MB',  {input => 'bomb.ods', to => 'csv'}, qr/^bomb\.ods: the zip file holds more than 67108864 bytes$/],
    ['60 MB in 60 KB',           {input => 'small-bomb.ods', to => 'csv'}, qr/^small-bomb\.ods: the part content\.xml inflates to more than 400 times its packed size \(a zip bomb\?\)$/],
    ['10,002 parts',             {input => 'many.ods', to => 'csv'}, qr/^many\.ods: the zip file has more than 10000 entries$/],
    ['a billion laughs',         {input => 'laughs.xlsx', to => 'csv'}, qr/^laughs\.xlsx: the part xl\/worksheets\/sheet0\.xml has a document type declaration, which is refused$/],
    ['3,600 megapixels in 1 MB', {input => 'bomb.png', to => 'jpeg'}, qr/^bomb\.png: an image of 60000 x 60000 pixels; at most 50 megapixels are allowed$/],
    ['... drawn',                {input => 'wide.svg', to => 'png'}, qr/^wide\.svg: /],
    ['... asked for',            {input => 'flag.svg', to => 'png', options => {width => 16383}}, qr/^flag\.svg: an image of 16383 x 8192 pixels; at most 50 megapixels/],
    ['laughs in an SVG',         {input => 'laughs.svg', to => 'png'}, qr/^laughs\.svg: /],
    ['half a PNG',               {input => 'cut.png', to => 'jpeg'}, qr/^cut\.png: the image cannot be converted: /],
    ['an entity from outside',   {input => 'outside.ods', to => 'csv'}, qr/^outside\.ods: the part content\.xml has a document type declaration/],
);
fails(@$_) for @bad;

my ($example) = slurp("$FindBin::Bin/../docs/handlers.md") =~ /-d '(\{"type": "file_conversion".*\})'/;
conversion('the example of docs/handlers.md', $json->decode($example)->{payload}, sub {
    my ($job) = @_;
    my $answer = $tf->api->get($job->{result}{file_url});
    is($answer->status, 200, 'the example of docs/handlers.md: its file is downloaded');
    is(length $answer->body, $job->{result}{bytes}, '... all of it');
    is($answer->header('content-type'), 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', '... as a workbook');
    return;
});

for my $case (@cases) {
    my $job = $tf->wait_for_end($case->{id}, 90);
    $case->{check}->($job);
}

refuses_inside($tf, 'file_conversion', $web, '/redirect/302?', sub { {input => $_[0], from => 'csv', to => 'json'} });
is_deeply([grep { /svg|style/ } map { $_->{target} } $web->requests], [], 'nobody was called on behalf of an SVG');

# ---- cancel ----
my $large = $tf->submit({type => 'file_conversion', payload => {input => 'large.png', to => 'webp', options => {quality => 100}}})->{id};
$tf->wait_for_status($large, 'RUNNING', 90);
is($tf->post("/api/v1/jobs/$large/cancel", undef)->status, 202, 'a large image is cancelled while it is converted');
is($tf->wait_for_end($large)->{status}, 'CANCELLED', '... and is not converted');

# ---- the door ----
for my $payload ({}, {to => 'json'}, {input => 'a.csv', to => 'json', wrong => 1}, {input => 'a.csv', to => 'json', options => {wrong => 1}}, {input => 'a.csv', to => 'doc'}, {filename => 1}) {
    is($tf->post('/api/v1/jobs', {type => 'file_conversion', payload => $payload})->status, 422, 'refused when submitted: ' . $json->encode($payload));
}

done_testing;
