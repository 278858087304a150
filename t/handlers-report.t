# report_generation, generate_report: what stands in the PDF and in the HTML is what other programs count.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(slurp spew);
use TaskForge::Process qw(run);
use TaskForge::Rows;

my $tf = TaskForge->start(dataset => 1);
my $home = $tf->{home};

# four days of jobs, of which the report shall show three
my %day = map { $_ => "timestamptz '2026-01-0$_ 00:00+00' + g * interval '7 minutes'" } 5 .. 8;
sub add {
    my ($day, $n, %o) = @_;
    my $took = delete $o{took};
    my $at = $day{$day};
    return $tf->insert_jobs($n, created_at => $at, status => "'SUCCESS'", started_at => "$at + interval '1 second'",
        finished_at => defined $took ? "$at + interval '1 second' + ($took) * interval '1 millisecond'" : 'NULL', attempt => 1, %o);
}
add(5, 120, type => "'email'", took => 'g * 10');
add(6, 90, type => "'email'", queue => "'mails'", took => '500 + g');
add(6, 40, type => "'web_scraping'", status => "'DEAD_LETTER'", took => '20', attempt => 4, error => "'no route to <b>host</b> & more'");
add(7, 30, type => "'web_scraping'", status => "'FAILED'", took => '20', error => "'bad page: ' || g % 2");
add(7, 5, type => "'web_scraping'", status => "'CANCELLED'", took => undef, started_at => 'NULL');
my ($slowest) = add(7, 1, type => "'import'", took => '3725000', name => "'<script>alert(1)</script> ÄÖ Ωμέγα'");
add(8, 77, type => "'email'", took => '1');
add(7, 13, type => "'webhook'", queue => "'_webhooks'", took => '1');

sub report {
    my ($payload, $type) = @_;
    my $job = $tf->wait_for_end($tf->submit({type => $type // 'report_generation', payload => $payload})->{id}, 60);
    diag $job->{error} if $job->{status} ne 'SUCCESS';
    return $job;
}

# The pages of a PDF as text.
sub pages {
    my ($url, $name) = @_;
    my $r = $tf->get($url);
    is($r->status, 200, "$name: the URL of the result works") or return;
    is($r->header('content-type'), 'application/pdf', '... and gives a PDF');
    spew("$home/$name.pdf", $r->body);
    return split /\f/, run('pdftotext', '-layout', "$home/$name.pdf", '-');
}

# ---- jobs ----
my $job = report({report_type => 'operations', user_id => 42, title => 'Week <1>', from => '2026-01-05', to => '2026-01-07', format => 'both'}, 'generate_report');
my $result = $job->{result};
is($result->{status}, 'completed', 'a report is made');
is_deeply([@$result{qw(report_type user_id jobs from to)}], ['operations', 42, 286, '2026-01-05T00:00:00.000000Z', '2026-01-08T00:00:00.000000Z'], '... over the jobs of its days');
is($result->{file_url}, "/api/v1/jobs/$job->{id}/files/operations-range-$job->{id}.pdf", '... as {type}-{range}-{uuid}.pdf');
is_deeply([map { $_->{content_type} } @{$result->{files}}], ['application/pdf', 'text/html; charset=utf-8'], '... and as HTML');
is_deeply([map { $_->{url} } @{$tf->get("/api/v1/jobs/$job->{id}/files")->json->{items}}], [sort map { $_->{url} } @{$result->{files}}], '... which are files of the job');
my @said = map { $_->{message} } @{$tf->get("/api/v1/jobs/$job->{id}/logs")->json->{items}};
is_deeply(\@said, ['Fetching data', 'Processing rows', 'Rendering charts', 'Exporting PDF', 'Exporting HTML'], 'its log names the stages');

my @pages = pages($result->{file_url}, 'jobs');
my ($count) = run('pdfinfo', "$home/jobs.pdf") =~ /^Pages:\s+(\d+)/m;
is($result->{pages}, $count, 'pages is how many there are');
is(scalar(grep { $pages[$_ - 1] =~ /Page $_ of $count$/m } 1 .. $count), $count, '... and each says which it is');
my $text = join "\n", @pages;
is_deeply([run('pdffonts', "$home/jobs.pdf") =~ /^\S+.* (yes|no) (?:yes|no) (?:yes|no) +\d+ +\d+$/mg], [('yes') x (() = run('pdffonts', "$home/jobs.pdf") =~ /DejaVu/g)], 'its fonts are in it');
like($text, qr/Week <1>/, 'the title stands as it was given');
like($text, qr/Jobs from 2026-01-05 00:00 to 2026-01-08 00:00 UTC/, '... the time below it');

# counted by plain statements, and percentiles by Perl
my $where = "created_at >= '2026-01-05Z' AND created_at < '2026-01-08Z' AND queue NOT LIKE '\\_%'";
sub seconds { my ($s) = @_; return $s < 9.9995 ? sprintf '%.3f s', $s : $s < 99.95 ? sprintf '%.1f s', $s : $s < 3600 ? sprintf '%d min %02d s', $s / 60, $s % 60 : sprintf '%d h %02d min', $s / 3600, $s / 60 % 60 }
sub percentiles {
    my ($more) = @_;
    my @s = sort { $a <=> $b } map { $_->[0] } @{[$tf->sql("SELECT extract(epoch FROM finished_at - started_at) FROM jobs WHERE $where AND status = 'SUCCESS' AND $more")]};
    return map {
        my $at = $_ * $#s;
        my $low = int $at;
        @s ? seconds($s[$low] + ($at - $low) * (($s[$low + 1] // $s[$low]) - $s[$low])) : ();
    } 0.5, 0.95, 0.99;
}
sub counts {
    my ($more) = @_;
    my $of = sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE $where AND $more AND $_[0]") };
    return ($of->('true'), $of->("status = 'SUCCESS'"), $of->("status IN ('FAILED', 'DEAD_LETTER')"),
        $tf->sql_value("SELECT sum(greatest(attempt - 1, 0)) FROM jobs WHERE $where AND $more"));
}
sub row { my (@cells) = @_; my $row = join '\s+', map { quotemeta } @cells; return qr/^\s*$row\s*$/m }
my @kinds = (['email', "type = 'email'"], ['web_scraping', "type = 'web_scraping'"], ['import', "type = 'import'"], ['default', "queue = 'default'"],
    ['mails', "queue = 'mails'"], ['2026-01-05', "created_at < '2026-01-06Z'"], ['2026-01-07', "created_at >= '2026-01-07Z'"]);
like($text, row($_->[0], counts($_->[1]), percentiles($_->[1])), "$_->[0]: the counts and percentiles that others get") for @kinds;
my ($all, $good, $bad, $retries) = counts('true');
is_deeply([$all, $good, $bad, $retries], [286, 211, 70, 120], 'the jobs of the test are what it takes them for');
like($text, qr/\b286\s+75\.1 %\s+70\s+120\b/, '... and the figures at the top are theirs');
like($text, row(percentiles('true'), '3.97'), '... with the percentiles, and jobs per hour');
like($text, row('DEAD_LETTER', 40, '14.0 %'), 'how many of each status');
like($text, row('web_scraping', 'no route to <b>host</b> & more', 40), 'what failed most often');
like($text, qr/\Q$slowest\E\s+import\s+<script>alert\(1\)<\/script> .*SUCCESS\s+1 h 02 min/, 'the slowest job');
like($text, qr/\xc3\x84\xc3\x96/, '... with its name in UTF-8');
unlike($text, qr/webhook/, "TaskForge's own jobs are left out");

my $html = $tf->get($result->{files}[1]{url})->body;
unlike($html, qr/<script/i, 'the HTML runs nothing: names are escaped');
like($html, qr/&lt;script&gt;alert\(1\)&lt;\/script&gt;/, '... and shown');
like($html, qr{<h1>Week &lt;1&gt;</h1>}, '... the title too');
my $cells = join '', map { "<td class=n>$_</td>\\s*" } counts("type = 'email'"), percentiles("type = 'email'");
like($html, qr{<td>email</td>\s*$cells</tr>}, '... with the same numbers');
is(scalar(() = $html =~ /<img alt="[^"]+" src="data:image\/svg\+xml;base64,[A-Za-z0-9+\/=]{500,}">/g), 3, '... and its charts');

# ---- ranges ----
$job = report({report_type => 'daily/../x y', date_range => 'last_24_hours'});
is($job->{result}{jobs}, $tf->sql_value("SELECT count(*) FROM jobs WHERE created_at > now() - interval '1 day' AND id <> '$job->{id}'"), 'the last 24 hours');
like($job->{result}{file_url}, qr{/files/daily-\.\.-x-y-last_24_hours-[0-9a-f-]{36}\.pdf$}, '... in a file of a harmless name');
is(exists $job->{result}{user_id}, '', '... for nobody');
$job = report({report_type => 'none', from => '2020-01-01', to => '2020-12-31', format => 'html'});
is_deeply([@{$job->{result}}{qw(jobs status)}, exists $job->{result}{pages}], [0, 'completed', ''], 'a time without jobs is a report too');
like($tf->get($job->{result}{file_url})->body, qr/No jobs were submitted/, '... that says so');

# ---- a dataset, against SQLite ----
$job = report({report_type => 'sales', dataset => 'sales_q1', group_by => 'region', columns => [qw(units revenue)]});
is($job->{result}{rows}, 50_000, 'a report over a dataset');
$text = join "\n", pages($job->{result}{file_url}, 'dataset');
sub sqlite { my ($sql) = @_; return map { [split /\|/] } split /\n/, run('sqlite3', ':memory:', '.mode csv', ".import $home/data/sales_q1.csv s", '.mode list', $sql) }
sub decimal { my ($v) = @_; $v = $v == int $v ? sprintf '%.0f', $v : sprintf '%.2f', $v; 1 while $v =~ s/^(-?\d+)(\d{3})/$1,$2/; return $v }
for my $row (sqlite('SELECT region, count(*), sum(units), avg(units), sum(revenue), avg(revenue) FROM s GROUP BY region')) {
    my ($region, @numbers) = @$row;
    like($text, row($region, map { decimal($_) } @numbers), "$region: as SQLite has it");
}
my ($stats) = sqlite('SELECT count(units), sum(units), avg(units), min(units + 0), max(units + 0) FROM s');
my ($n, $sum, $mean, $min, $max) = map { decimal($_) } @$stats;
like($text, qr/^\s*units\s+$n\s+$sum\s+$mean\s+[\d,.]+\s+$min\s+$max\s+[\d,.]+\s*$/m, 'a column: as SQLite has it');

# ---- datasets that are no CSV ----
run('/usr/bin/python3', '-c', 'import csv, gzip, sys
with gzip.open(sys.argv[2], "wt", newline="") as f: csv.writer(f, delimiter="\t", lineterminator="\n").writerows(csv.reader(open(sys.argv[1], newline="")))',
    "$home/data/sales_q1.csv", "$home/data/sales.tsv.gz");
$job = report({report_type => 'sales', dataset => 'sales.tsv.gz', group_by => 'region', columns => [qw(units revenue)]});
is($job->{result}{rows}, 50_000, 'TSV in gzip');
like(join("\n", pages($job->{result}{file_url}, 'tsv')), qr/^\s*units\s+$n\s+$sum\s+$mean\s+/m, '... the same numbers');
spew("$home/data/few.jsonl", qq({"k": "a", "v": 1, "code": "7"}\n{"k": "b", "v": 2.5}\n{"v": 3, "k": "a"}\n));
$job = report({report_type => 'few', dataset => 'few.jsonl', group_by => 'k', format => 'html'});
is($job->{result}{rows}, 3, 'JSON lines');
my $few = $tf->get($job->{result}{file_url})->body;
like($few, qr{<td>a</td>\s*<td class=n>2</td>\s*<td class=n>4</td>\s*<td class=n>2</td>}, '... by groups');
unlike($few, qr{<td>code</td>}, '... in which "7" is a text');

# ---- a long table has its first line on every page ----
spew("$home/data/long.csv", "key,value\n" . join '', map { sprintf "key%03d,%d\n", $_, $_ } 1 .. 300);
$job = report({report_type => 'long', dataset => 'long', group_by => 'key'});
@pages = pages($job->{result}{file_url}, 'long');
cmp_ok(scalar @pages, '>=', 5, 'a long table takes several pages');
is(scalar(grep { /^\s*key\s+Rows\s+value, sum\s+value, mean\s*$/m } @pages[1 .. $#pages]), $#pages, '... each has the names of its columns');
my %seen = map { $_ => 1 } join('', @pages) =~ /^\s*key(\d{3})\s+1\s/mg;
is(scalar keys %seen, 300, '... and no row is lost at an edge');

# ---- what cannot be ----
my @bad = (
    [{report_type => 'x', from => '2026-02-30'}, qr/"from" must be a date like/],
    [{report_type => 'x', to => '2026-02-03'}, qr/"to" without "from"/],
    [{report_type => 'x', from => '2026-02-03', to => '2026-02-02'}, qr/"to" must be after "from"/],
    [{report_type => 'x', from => '2026-02-03', date_range => 'today'}, qr/either "date_range" or/],
    [{report_type => 'x', group_by => 'a'}, qr/are of a "dataset"/],
    [{report_type => "a\nb"}, qr/"report_type" must have no control characters/],
    [{report_type => 'x', dataset => '../conf/taskforge.env'}, qr/leads out of the data directory/],
    [{report_type => 'x', dataset => 'nowhere'}, qr/nowhere\.csv: no such file/],
    [{report_type => 'x', dataset => 'sales_q1', group_by => 'colour'}, qr/sales_q1\.csv: line 1: .*colour/],
);
my @ids = map { $tf->submit({type => 'report_generation', payload => $_->[0]})->{id} } @bad;
for my $i (0 .. $#bad) {
    my $end = $tf->wait_for_end($ids[$i], 60);
    is($end->{status}, 'FAILED', 'refused for good');
    like($end->{error}, $bad[$i][1], '... with the reason');
}
is($tf->post('/api/v1/jobs', {type => 'generate_report', payload => {report_type => 'x'}})->status, 422, 'generate_report is for a user');
is($tf->post('/api/v1/jobs', {type => 'report_generation', payload => {report_type => 'x', date_range => 'ever'}})->status, 422, 'other ranges are refused at once');
is_deeply([@{$tf->submit({type => 'generate_report', payload => {report_type => 'x', user_id => 'u', date_range => 'today'}})}{qw(max_retries)}], [2], 'generate_report is tried again twice');

# ---- the page's example ----
my ($printed) = slurp("$FindBin::Bin/../docs/handlers.md") =~ /^## report_generation, generate_report\n\n```sh\n(.*?)```$/ms;
$printed =~ s/127\.0\.0\.1:3000/127.0.0.1:$tf->{port}/g or die 'no port';
like(JSON::PP::decode_json(`TOKEN=none; $printed`)->{items}[0]{name}, qr/^operations-last_7_days-.*\.pdf$/, 'the example of docs/handlers.md');

done_testing;
