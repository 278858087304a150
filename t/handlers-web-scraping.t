# web_scraping against a site on loopback: what it extracts is what Python's own HTML parser finds; robots.txt, the limits and the
# borders of the site are kept; nobody reaches what may not be called.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(slurp spew);
use TaskForge::Inside qw(inside);
use TaskForge::Rows;
use TaskForge::WebServer;

my $tf = TaskForge->start(settings => {TASKFORGE_OUTGOING_ALLOW => '127.0.0.2', TASKFORGE_WORKER_CONCURRENCY => 8, TASKFORGE_LOST_SECONDS => 60});
my $web;
my $rows = join '', map { "<tr><td>item $_<td class=price>" . $_ * 1.5 . " \x{20ac}<td><a href='/item?n=$_'>more &amp; more</a>" } 1 .. 300;
my $shop = <<"END";
<!DOCTYPE html><html lang="en"><head><title>The
  shop</title><meta name="description" content="Things &amp; more"><meta property="og:title" content="Shop"><link rel="canonical" href="/shop">
<style>p { color: red }</style><script>if (a < b) document.write("<a href='/not-a-link'>x</a>")</script></head>
<body><h1 id=top>Every <em>thing</em></h1><div class="intro lead">First</div><div class=intro>Second <!-- not this --></div>
<p>a paragraph<br>of two lines<p>unclosed <b>bold <i>both</b> italic</i>
<table id=list><thead><tr><th>name<th>price<th>link</thead>$rows</table>
<img src="logo.png" alt="The logo"><img src="/a.gif"><a href="relative">r</a><a href='?page=2#x'>q</a><a href="mailto:a\@b.example">m</a></body></html>
END

# Pages and their links: / is the whole site.
my %site = (
    '/robots.txt' => "# ours\nUser-agent: *\nDisallow: /\n\nUser-agent: TaskForge\nDisallow: /secret\nDisallow: /*.cgi\$\nAllow: /\n",
    '/' => '<title>start</title><a href="a.html">1</a><a href="./a.html#x">again</a><a href="/b.html?x=1&amp;y=2">2</a><a href="/secret/x">no</a>'
        . '<a href="/run.cgi">no</a><a href="/moved">3</a><a href="/away">4</a><a href="/doc.pdf">5</a><a href="/gone">6</a><a rel=nofollow href="/nofollow">7</a>'
        . '<a href="http://127.0.0.1:PORT/other">8</a><a href="javascript:go()">9</a><a href="/slow">10</a><a href="/cut.html">11</a>',
    '/a.html' => '<title>a</title><a href="/">up</a><a href="deep/1">down</a>',
    '/b.html' => '<title>b</title>',
    '/deep/1' => '<title>deep 1</title><a href="2">on</a><base href="http://127.0.0.2:PORT/elsewhere/">',
    '/elsewhere/2' => '<title>elsewhere</title><a href="3">on</a>',
    '/elsewhere/3' => '<title>too deep</title>',
    '/moved' => {status => 301, headers => ['Location: deep/1']},
    '/away' => {status => 302, headers => ['Location: http://127.0.0.1:PORT/private']},
    '/doc.pdf' => {body => '%PDF', type => 'application/pdf'},
    '/gone' => {status => 410, body => '<h1>gone</h1>', type => 'text/html'},
    '/slow' => {html => '<title>slow</title>', delay => 60},
    '/cut.html' => {html => '<title>half</title>' . 'x' x 1000, cut => 30},
    '/shop' => {html => $shop},
    '/shop.gz' => {html => $shop, gzip => 1},
    '/latin' => {body => "<title>caf\xe9 \x80 \x93quoted\x94</title>", type => 'text/html; charset=ISO-8859-1'},
    '/meta' => {body => "<meta http-equiv=content-type content='text/html; charset=windows-1251'><title>\xcf\xf0\xe8\xe2\xe5\xf2</title>", type => 'text/html'},
    '/sjis' => {body => "<meta charset=Shift_JIS><title>\x93\xfa\x96\x7b</title>", type => 'text/html'},
    '/bad-utf8' => {body => "<title>a\xff\xc3\x00b</title>", type => 'text/html; charset=utf-8'},
    '/guess' => {body => "<title>na\xefve</title>", type => 'text/html'},
    '/empty' => {body => '', type => 'text/html'},
    '/deepest' => {html => '<title>deep</title>' . '<div>' x 100_000 . '<a href="/a.html">'},
    '/huge' => {html => '<title>huge</title><p>' . 'many words ' x 300_000},
    '/wide*' => sub { {html => '<title>' . $_[0]{query} . '</title>' . join('', map { "<a href='?$_'>$_</a>" } 1 .. 40) . '<p>' . 'z' x 100_000} },
    '/hostile' => {html => '<table>' . '<tr><td>1' x 20_000}, '/many' => {html => '<p class=x>aaaa <b>b</b></p>' x 8_000},
    '/class' => {html => "<body class='" . 'x y ' x 200_000 . "'>" . '<p class=b>x' x 50_000},
    '/attributes' => {html => '<title>x</title><p ' . join(' ', map { "a$_" } 1 .. 250_000) . '>'},
    '/dense' => {html => '<p>' x 2_700_000},
    '/begins' => {html => '<title>x</title><a href="/attributes">1</a><a href="/b.html?fine">2</a>'},
    '/chain' => {status => 302, headers => ['Location: /chain1']}, '/chain1' => {status => 302, headers => ['Location: /chain']},
    '/bomb' => {bomb => 100_000_000, type => 'text/html'}, '/hang' => {hang => 1},
);
# The port is known once there is a server; routes are read in its processes.
$web = TaskForge::WebServer->start($tf->{home}, {'*' => sub {
    my ($request) = @_;
    my ($key) = exists $site{$request->{path}} ? $request->{path} : sort { length $b <=> length $a } grep { /^(.*)\*$/ && index($request->{path}, $1) == 0 } keys %site;
    my $answer = defined $key ? $site{$key} : {status => 404, body => 'no such page'};
    $answer = $answer->($request) if ref $answer eq 'CODE';
    my ($port) = $request->{headers}{host} =~ /:(\d+)/;
    return $answer =~ s/PORT/$port/gr unless ref $answer;
    return {%$answer, headers => [map { s/PORT/$port/r } @{$answer->{headers} // []}]};
}});

sub at { my ($path) = @_; return $web->url($path, '127.0.0.2') }

sub scrape { my ($path, %payload) = @_; return $tf->submit({type => 'web_scraping', payload => {url => at($path), delay_ms => 0, timeout => 15, %payload}})->{id} }

sub result_of {
    my ($id) = @_;
    my $job = $tf->wait_for_end($id, 60);
    is($job->{status}, 'SUCCESS', 'SUCCESS') or diag($job->{error});
    return $job->{result} // {};
}

my %job = (
    site => scrape('/', depth => 3, extract => ['links']),
    start => scrape('/'),
    shop => scrape('/shop', extract => [qw(text links tables meta images)], selectors => {
        heading => 'h1', intros => {css => 'div.intro', all => true}, missing => '.nothing', none => {css => '.nothing', all => true},
        prices => {css => '#list td.price', all => true}, tenth => '#list tr:nth-child(10) > td', html => {css => 'h1', type => 'html'},
        alts => {css => 'img', attribute => 'alt', all => true}, links => {css => '#list', type => 'links'}, table => {css => 'table', type => 'table'},
        count => {xpath => 'count(//td)'}, words => {xpath => 'normalize-space(//title)'}, hrefs => {xpath => '//a[starts-with(@href,"/item")]/@href', all => true},
        both => {xpath => '//h1 | //title', all => true}, truth => {xpath => 'count(//h1) = 1'},
    }),
    list => scrape('/shop', selectors => ['h1', 'div.intro']),
    gzip => scrape('/shop.gz', selectors => {heading => 'h1'}),
    huge => scrape('/huge', extract => ['text'], max_bytes => 100_000),
    wide => scrape('/wide', depth => 1, max_pages => 30, extract => ['text']),
    few => scrape('/wide/few', depth => 1, max_pages => 3, delay_ms => 400),
    bomb => scrape('/bomb'),
    include => scrape('/', depth => 2, include => ['/a', '/deep'], exclude => ['/deep/1', '/away']),
    many => scrape('/many', selectors => {x => 'p.x b:not(.y)', y => {xpath => 'count(//p[@class]//b)'}, z => {xpath => 'count("x")'}}),
    begins => scrape('/begins', depth => 1),
    agent => scrape('/b.html?agent', user_agent => '(+https://example.com/bot)'),
    map { ($_ => scrape($_)) } qw(/latin /meta /sjis /bad-utf8 /guess /empty /deepest),
);
# the page's command, for a site that is here
my ($curl) = grep { /"web_scraping"/ } slurp("$FindBin::Bin/../docs/handlers.md") =~ /^```sh\n(.*?)^```$/msg;
my $start = at('/shop');
$curl =~ s/127\.0\.0\.1:3000/127.0.0.1:$tf->{port}/;
$curl =~ s{https://www\.debian\.org/}{$start} or die 'the page has another example';
$curl =~ s/"depth": 1/"depth": 0/;
{
    local $ENV{TOKEN} = 'none';
    $job{page} = JSON::PP::decode_json(scalar qx($curl))->{id};
}
my %failing = (
    '/secret/x' => qr{robots\.txt does not allow it$}, '/doc.pdf' => qr{it is not HTML but application/pdf$},
    '/gone' => qr{HTTP status 410$}, '/nowhere' => qr{HTTP status 404$}, '/run.cgi' => qr{robots\.txt does not allow it$}, '/chain' => qr{it redirects in a circle$},
);
my %failed = map { ($_ => scrape($_)) } keys %failing;
my $again = scrape('/slow', timeout => 1);
my ($hanging, $pausing) = (scrape('/hang', timeout => 60), scrape('/', depth => 1, delay_ms => 60_000));

# ---- what may not be reached, and what is no payload
my @refused = (inside($web->{port}), 'http://user@127.0.0.2/');
my @payloads = (
    [{url => 'ftp://127.0.0.2/'}, qr/^payload: "url" must begin with http/],
    [{url => at('/'), selectors => {x => 'p:hover'}}, qr/^payload: the CSS selector of "x": at byte 8: only :first-child/],
    [{url => at('/'), selectors => {x => {xpath => '//a['}}}, qr/^payload: the XPath of "x" is no expression/],
    [{url => at('/'), selectors => {x => {xpath => '(' x 20}}}, qr/^payload: the XPath of "x" has more than 12 brackets/],
    [{url => at('/'), selectors => {x => {type => 'html'}}}, qr/^payload: the selector "x" must be .* with either "css" or "xpath"/],
    [{url => at('/'), selectors => {x => {css => 'a', type => 'attribute'}}}, qr/^payload: the "type" of "x" must be/],
    [{url => at('/'), include => ['docs']}, qr/^payload: "include" must be a list of at most 50 paths that begin with/],
    [{url => at('/'), user_agent => "a\r\nX: y"}, qr/^payload: "user_agent" must be/],
    [{url => at('/'), respect_robots => false}, qr/^payload: "respect_robots" cannot be false here/],
);
my @bad = $tf->submit_batch(map { {type => 'web_scraping', payload => $_} } (map { {url => $_} } @refused), map { $_->[0] } @payloads);
my $down = TaskForge::WebServer->start($tf->{home}, {'/robots.txt' => {status => 503}, '/' => '<p>x'});
my $unknown = $tf->submit({type => 'web_scraping', payload => {url => $down->url('/', '127.0.0.2')}})->{id};
is($tf->post('/api/v1/jobs', {type => 'web_scraping', payload => $_})->status, 422, 'refused when it is submitted')
    for {depth => 1}, {url => at('/'), depth => 6}, {url => at('/'), extract => ['everything']}, {url => at('/'), selectors => {x => {css => 'a', regex => 'b'}}};

# ---- the site
my $site = result_of($job{site});
my %page = map { (substr($_->{url}, length at('')) => $_) } @{$site->{pages}};
is_deeply([sort keys %page], [sort '/', '/a.html', '/b.html?x=1&y=2', '/away', '/deep/1', '/elsewhere/2'], 'every page of the site once, and nothing else')
    or diag explain [sort keys %page];
is($page{'/'}{title}, 'start', 'its title');
is_deeply([map { $page{$_}{depth} } '/', '/a.html', '/elsewhere/2'], [0, 1, 3], 'its depth');
is($page{'/away'}{redirect}, $web->url('/private', '127.0.0.1'), 'a redirect off the site is told');
is_deeply([map { $_->{to} } grep { $_->{to} ne '127.0.0.2' } $web->requests], [], '... and not followed, nor any link off the site');
my %error = map { (substr($_->{url}, length at('')) => $_->{error}) } @{$site->{errors}};
like($error{'/gone'}, qr/^HTTP status 410$/, 'errors of other pages are listed');
like($error{'/slow'}, qr/timed? ?out/i, '... of one that is too slow as well');
ok($error{'/cut.html'}, '... and of one that breaks off');
is(keys %error, 3, '... and no more') or diag explain \%error;
my $stats = $site->{stats};
is_deeply([@$stats{qw(pages skipped_by_robots skipped_not_html redirected_off_site errors)}], [6, 2, 1, 1, 3], 'what was left out is counted');
is($site->{truncated}, false, 'nothing is missing');
my @requests = $web->requests;
is(scalar(grep { $_->{target} =~ m{^/(secret|run\.cgi|nofollow|elsewhere/3)} } @requests), 0, 'robots.txt, nofollow and the depth are kept');
is(result_of($job{start})->{stats}{pages}, 1, 'without a depth it is one page');
like((grep { $_->{target} eq '/b.html?agent' } @requests)[0]{headers}{'user-agent'} // 'none yet', qr{^TaskForge/\S+ \(\+https://example\.com/bot\)$|^none yet$}, 'User-Agent');
my $include = result_of($job{include});
is_deeply([map { $_->{title} } @{$include->{pages}}], ['start', 'a'], 'include and exclude');

# ---- what is extracted, by Python
spew("$tf->{home}/parse.py", <<'END');
import html.parser, json, sys, urllib.parse
class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.images, self.rows, self.meta, self.price, self.title, self.open = [], [], [], {}, [], '', None
    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if tag == 'a' and 'href' in a: self.links.append(a['href'])
        if tag == 'img': self.images.append([a['src'], a.get('alt')])
        if tag == 'meta': self.meta[a.get('name') or a.get('property')] = a['content']
        if tag == 'tr': self.rows.append([])
        if tag in ('td', 'th'): self.rows[-1].append('')
        if tag in ('td', 'th', 'title'): self.open = tag
        elif tag in ('tr', 'table', 'img'): self.open = None
        if tag == 'td' and a.get('class') == 'price': self.price.append(len(self.rows) - 1)
    def handle_endtag(self, tag):
        if tag in ('title', 'table', 'thead'): self.open = None
    def handle_data(self, text):
        if self.open in ('td', 'th'): self.rows[-1][-1] += text
        if self.open == 'title': self.title += text
p = Page()
p.feed(sys.stdin.buffer.read().decode())
squeeze = lambda s: ' '.join(s.split())
absolute = lambda u: urllib.parse.urldefrag(urllib.parse.urljoin(sys.argv[1], u))[0]
json.dump({'links': [absolute(u) for u in p.links if not u.startswith('mailto:')], 'images': [[absolute(s), a] for s, a in p.images],
           'rows': [[squeeze(c) for c in r] for r in p.rows], 'prices': [squeeze(p.rows[r][1]) for r in p.price], 'title': squeeze(p.title), 'meta': p.meta}, sys.stdout)
END
{
    open my $out, '>:utf8', "$tf->{home}/shop.html" or die $!;
    print {$out} $shop;
    close $out;
}
my $python = JSON::PP::decode_json(scalar qx(/usr/bin/python3 $tf->{home}/parse.py '${\at('/shop')}' <$tf->{home}/shop.html));
my $result = result_of($job{shop});
my ($got) = @{$result->{pages}};
my $data = $got->{data};
is($got->{title}, $python->{title}, 'Python agrees: the title');
is_deeply([map { $_->{url} } @{$got->{links}}], $python->{links}, '... the links') or diag explain $got->{links}[0];
is_deeply($got->{tables}, [$python->{rows}], '... the tables');
is_deeply([map { [@$_{qw(url alt)}] } @{$got->{images}}], $python->{images}, '... the images');
is_deeply({map { ($_ => $got->{meta}{$_}) } keys %{$python->{meta}}}, $python->{meta}, '... the meta data');
is_deeply($data->{prices}, $python->{prices}, '... texts by a CSS selector');
is_deeply($data->{table}, $python->{rows}, '... a table by one');
is($data->{tenth}, $python->{rows}[9][0], '... :nth-child()');
is_deeply($data->{links}, [grep { m{/item\?} } @{$python->{links}}], '... the links within an element');
is($data->{count}, 900, 'an XPath that counts');
is_deeply([@$data{qw(words truth)}], [$python->{title}, true], '... that is a text, or true');
is_deeply($data->{hrefs}, [map { "/item?n=$_" } 1 .. 300], '... that selects attributes');
is_deeply($data->{both}, ['The shop', 'Every thing'], '... in the order of the page');
is_deeply([@$data{qw(heading missing html)}], ['Every thing', undef, '<h1 id="top">Every <em>thing</em></h1>'], 'the first match: text, null, HTML');
is_deeply([@$data{qw(intros none alts)}], [['First', 'Second'], [], ['The logo', undef]], 'all matches: texts, none, attributes');
is_deeply([@{$got->{meta}}{qw(lang canonical)}], ['en', at('/shop')], 'language and canonical URL');
like($got->{text}, qr/^Every thing\nFirst\nSecond\na paragraph\nof two lines\nunclosed bold both italic\nname price link\nitem 1 1\.5 \x{20ac} more & more\nitem 2 /, 'the text, in lines');
is_deeply(result_of($job{list})->{pages}[0]{data}, {h1 => ['Every thing'], 'div.intro' => ['First', 'Second']}, 'a list of selectors');
is(result_of($job{gzip})->{pages}[0]{data}{heading}, 'Every thing', 'a packed page');

is(result_of($job{page})->{pages}[0]{data}{heading}, 'Every thing', 'the command of docs/handlers.md');

# ---- character sets, and pages that are none
is(result_of($job{'/latin'})->{pages}[0]{title}, "caf\x{e9} \x{20ac} \x{201c}quoted\x{201d}", 'ISO-8859-1 is windows-1252');
is(result_of($job{'/meta'})->{pages}[0]{title}, "\x{41f}\x{440}\x{438}\x{432}\x{435}\x{442}", 'the <meta> says the character set');
is(result_of($job{'/sjis'})->{pages}[0]{title}, "\x{65e5}\x{672c}", 'Shift_JIS');
is(result_of($job{'/bad-utf8'})->{pages}[0]{title}, "a\x{fffd}\x{fffd}\x{fffd}b", 'bytes that are no UTF-8 are replaced');
is(result_of($job{'/guess'})->{pages}[0]{title}, "na\x{ef}ve", 'what is neither declared nor UTF-8 is windows-1252');
is_deeply([@{result_of($job{'/empty'})->{pages}[0]}{qw(title bytes)}], [undef, 0], 'an empty page');
my $deepest = result_of($job{'/deepest'})->{pages}[0];
is_deeply([@$deepest{qw(title truncated)}], ['deep', true], 'a page nested 100,000 deep is cut');

# ---- bounds
my $huge = result_of($job{huge});
is_deeply([@{$huge->{pages}[0]}{qw(bytes truncated)}], [100_000, true], 'max_bytes');
cmp_ok(length $huge->{pages}[0]{text}, '<', 100_001, '... no more is read');
my $wide = result_of($job{wide});
is($wide->{truncated}, true, 'a result that would be too large says that it is not all');
cmp_ok(scalar @{$wide->{pages}}, '>', 5, '... and has what fits');
cmp_ok(length JSON::PP->new->encode($wide), '<', 1_048_576, '... into TASKFORGE_RESULT_MAX_BYTES');
my $few = result_of($job{few});
is_deeply([scalar @{$few->{pages}}, $few->{truncated}], [3, true], 'max_pages');
my @times = map { $_->{at} } map { $web->requests($_) } '/wide/few', '/wide/few?1', '/wide/few?2';
cmp_ok((sort { $a <=> $b } @times)[-1] - $times[0], '>=', 0.79, 'delay_ms is kept between pages');
is_deeply([@{result_of($job{bomb})->{pages}[0]}{qw(bytes truncated)}], [2_097_152, true], 'a packed bomb is cut');
my $many = result_of($job{many})->{pages}[0]{data};
is_deeply($many, {x => 'b', y => 8_000, z => undef}, 'a large page is looked at as a whole; what makes no sense gives null');
my $begins = result_of($job{begins});
is_deeply([map { $_->{title} } @{$begins->{pages}}], ['x', 'b'], 'a page that would take for ever is left out');
is_deeply([map { $_->{error} } @{$begins->{errors}}], ['the page takes too much time'], '... and listed among the errors');

# ---- what fails
for my $path (sort keys %failing) {
    my $job = $tf->wait_for_end($failed{$path}, 60);
    is("$job->{status} $job->{attempt}", 'FAILED 1', "$path fails at once");
    like($job->{error}, $failing{$path}, '... and says why');
}
# each would take minutes, or gigabytes, in the process of all the others
my %hostile = (
    count => ['/hostile', {xpath => '//td[count(preceding::td) = 5]'}, qr/: the selector "x" takes too much time$/],
    ancestors => ['/class', '.a .b', qr/: the selector "x" takes too much time$/],
    attributes => ['/attributes', 'p', qr/: the page takes too much time$/],
    dense => ['/dense', 'p', qr/: the page takes (?:more than 384 MB of memory|too much time)$/],
);
delete $hostile{dense} if $TaskForge::Stack::SANITIZED; # sanitizers take memory of their own, without a bound
my %harmful = map { ($_ => scrape($hostile{$_}[0], selectors => {x => $hostile{$_}[1]}, max_bytes => 8_388_608)) } keys %hostile;
for my $how (sort keys %hostile) {
    my $job = $tf->wait_for_end($harmful{$how}, 120);
    is("$job->{status} $job->{attempt}", 'FAILED 1', "hostile: $how ends its own job");
    like($job->{error}, $hostile{$how}[2], '... and the error says why');
}
is_deeply([map { $tf->log_events('worker', $_) } qw(executor_died executor_hangs)], [], '... and harms no other job of the process');
my $retrying = $tf->wait_for_status($again, 'RETRYING', 60);
is($retrying->{status}, 'RETRYING', 'a start page that is too slow is tried again');
for my $i (0 .. $#bad) {
    my $job = $tf->wait_for_end($bad[$i]{id}, 60);
    my ($what, $why) = $i < @refused ? ($refused[$i], qr/refused: |^payload: "url" must/) : ('a payload', $payloads[$i - @refused][1]);
    is("$job->{status} $job->{attempt}", 'FAILED 1', "$what is refused");
    like($job->{error}, $why, '... and the error says why');
}
is(scalar(grep { $_->{to} eq '127.0.0.1' } $web->requests), 0, 'nobody was called who may not be');
is($tf->wait_for_status($unknown, 'RETRYING', 60)->{status}, 'RETRYING', 'a robots.txt that cannot be had: later');
is_deeply([grep { $_ ne '/robots.txt' } map { $_->{target} } $down->requests], [], '... and no page was fetched');

# ---- cancel: while a server is silent, and in a pause
wait_until(30, sub { $web->requests('/hang') });
for my $id ($hanging, $pausing) {
    $tf->wait_for_status($id, 'RUNNING', 60);
    $tf->post("/api/v1/jobs/$id/cancel");
    my $job = $tf->wait_for_end($id, 30);
    is($job->{status}, 'CANCELLED', 'CANCELLED');
    cmp_ok(scalar @{($job->{result} // {})->{pages} // []}, $id eq $pausing ? '>=' : '==', $id eq $pausing ? 1 : 0, '... with what there was by then');
}

done_testing;
