# data_processing and custom: the numbers are those that Perl, Python and the sqlite3 program get from the same files, and no
# payload, file or query gets further than it may.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(find_program give_away slurp spew);
use TaskForge::Inside qw(refuses_inside);
use TaskForge::Process qw(children_of run);
use TaskForge::Receiver;
use TaskForge::Stack;
use File::Copy qw(copy);
use IO::Compress::Gzip qw(gzip);
use List::Util qw(max);

my $spool = "/var/tmp/tf-data-test-$$";
mkdir $spool or die "$spool: $!";
give_away($spool);
END { rmdir $spool if $spool }
my $tf = TaskForge->start(dataset => 1, settings => {
    TASKFORGE_OUTGOING_ALLOW => '127.0.0.2', TMPDIR => $spool,
    TASKFORGE_DATA_INPUT_MB => 8, TASKFORGE_DATA_MEMORY_MB => 16, TASKFORGE_DATA_DISK_MB => 64,
    TASKFORGE_FILES_MAX_BYTES => 4 << 20, TASKFORGE_LOST_SECONDS => 60,
});
my $file = "$tf->{home}/data/sales_q1.csv";

# The whole table by plain Perl.
open my $in, '<', $file or die "$file: $!";
my (@names, @rows);
while (my $line = <$in>) {
    chomp $line;
    my @fields = map { s/^"(.*)"$/$1/r } $line =~ /\G(?:^|,)("[^"]*"|[^,]*)/g;
    if (@names) { push @rows, \@fields } else { @names = @fields }
}
close $in;
is(scalar @rows, 50_000, 'the dataset has 50,000 rows');
my %column = map { $names[$_] => $_ } 0 .. $#names;

sub reference {
    my ($name, $rows) = @_;
    my @v = sort { $a <=> $b } map { $_->[$column{$name}] } @$rows;
    my ($n, $sum, $squares) = (scalar @v, 0, 0);
    $sum += $_ for @v;
    $squares += ($_ - $sum / $n)**2 for @v;
    return {count => $n, sum => $sum, mean => $sum / $n, min => $v[0], max => $v[-1],
        stddev => sqrt($squares / ($n - 1)), median => $n % 2 ? $v[$n / 2] : ($v[$n / 2 - 1] + $v[$n / 2]) / 2};
}

sub same_numbers {
    my ($got, $expected, $title) = @_;
    my @wrong = grep { $got->{$_} != $expected->{$_} } qw(count min max median);
    push @wrong, grep { abs($got->{$_} - $expected->{$_}) > 1e-9 * abs $expected->{$_} } qw(sum mean stddev);
    is("@wrong", '', $title);
    return;
}

sub result_of {
    my ($payload) = @_;
    my $job = $tf->wait_for_end($tf->submit({type => 'data_processing', payload => $payload})->{id}, 60);
    is($job->{status}, 'SUCCESS', 'SUCCESS') or diag($job->{error});
    is($job->{progress}, 100, 'progress is 100');
    return $job->{result};
}

my @numeric = qw(order_id units unit_price discount revenue);
my $all = result_of({dataset => 'sales_q1', operation => 'aggregate'});
is($all->{rows}, 50_000, 'all rows were read');
is_deeply([sort keys %{$all->{columns}}], [sort @numeric], 'the numeric columns');
is_deeply($all->{text_columns}, [qw(order_date region product category)], 'the others are named');
same_numbers($all->{columns}{$_}, reference($_, \@rows), "$_ is what Perl says") for @numeric;

my $grouped = result_of({dataset => 'sales_q1', group_by => 'product', columns => ['revenue', 'units']});
is($grouped->{group_by}, 'product', 'group_by is repeated');
my %by;
push @{$by{$_->[$column{product}]}}, $_ for @rows;
is_deeply([map { $_->{value} } @{$grouped->{groups}}], [sort keys %by], 'groups stand in the order of their values');
for my $group (@{$grouped->{groups}}) {
    my $rows = $by{$group->{value}};
    is($group->{rows}, scalar @$rows, "$group->{value}: rows");
    is_deeply([sort keys %{$group->{columns}}], [qw(revenue units)], 'only the columns asked for');
    same_numbers($group->{columns}{$_}, reference($_, $rows), "$_ is what Perl says") for qw(revenue units);
}

my $first = result_of({dataset => 'sales_q1.csv', rows => 777, columns => ['revenue']});
is($first->{rows}, 777, 'the first 777 rows');
same_numbers($first->{columns}{revenue}, reference('revenue', [@rows[0 .. 776]]), 'revenue of these');

{
    open my $out, '-|', find_program('sqlite3'), ':memory:', '-cmd', '.mode csv', '-cmd', ".import '$file' s",
        'SELECT count(*), sum(revenue), min(0+revenue), max(0+revenue), avg(units) FROM s' or die "sqlite3: $!";
    my ($count, $sum, $min, $max, $mean_units) = split /,/, <$out>;
    close $out;
    my ($r, $u) = @{$all->{columns}}{qw(revenue units)};
    ok($r->{count} == $count && abs($r->{sum} - $sum) < 1e-9 * $sum && $r->{min} == $min && $r->{max} == $max
            && abs($u->{mean} - $mean_units) < 1e-9, 'SQLite agrees');
}

my $pair = result_of({dataset => 'sales_q1', group_by => [qw(region category)], columns => ['units'], rows => 5000});
is_deeply($pair->{group_by}, [qw(region category)], 'group_by may be a list');
my %both;
push @{$both{"$_->[$column{region}]\0$_->[$column{category}]"}}, $_ for @rows[0 .. 4999];
is_deeply([map { join "\0", @{$_->{value}} } @{$pair->{groups}}], [sort keys %both], '... and then each value is one');
same_numbers($pair->{groups}[0]{columns}{units}, reference('units', $both{(sort keys %both)[0]}), '... units of the first pair');

# ---- other formats and operations, on real data sets; another program does the same
my %TYPES = (
    weather => 'date TEXT, precipitation REAL, temp_max REAL, temp_min REAL, wind REAL, weather TEXT',
    people => 'name TEXT, age INTEGER, height INTEGER',
    groups => '"group" INTEGER, person TEXT',
    penguins => '"Species" TEXT, "Island" TEXT, "Beak Length (mm)" REAL, "Beak Depth (mm)" REAL, "Flipper Length (mm)" INTEGER, '
        . '"Body Mass (g)" INTEGER, "Sex" TEXT',
    unemployment => 'id INTEGER, rate REAL',
);
my %FILES = (weather => 'seattle-weather.csv', people => 'lookup_people.csv', groups => 'lookup_groups.csv', penguins => 'penguins.json', unemployment => 'unemployment.tsv');
copy("$FindBin::Bin/data/vega/$_", "$tf->{home}/data/$_") or die "$_: $!" for values %FILES;
sub data { my ($name, $text) = @_; spew("$tf->{home}/data/$name", $text); return }

my $json = JSON::PP->new->canonical->allow_nonref;
my $penguins = $json->decode(slurp("$tf->{home}/data/penguins.json"));
my $lines = join '', map { $json->encode($_) . "\n" } @$penguins;
data('penguins.jsonl', "\xEF\xBB\xBF$lines\n  \n");
gzip(\$lines, "$tf->{home}/data/penguins.ndjson.gz") or die;
gzip("$tf->{home}/data/seattle-weather.csv", "$tf->{home}/data/weather.csv.gz") or die;
# what sqlite3 imports
my @penguin = ('Species', 'Island', 'Beak Length (mm)', 'Beak Depth (mm)', 'Flipper Length (mm)', 'Body Mass (g)', 'Sex');
spew("$tf->{home}/penguins.csv", join '', map { my $p = $_; join(',', map { $_ // '' } @$p{@penguin}) . "\n" } {map { $_ => $_ } @penguin}, @$penguins);

# Rows that sqlite3 gets: table data from the file, and perhaps other; empty fields are NULL.
sub sqlite {
    my ($query, @tables) = @_;
    my @commands;
    for my $n (0 .. $#tables) {
        my ($table, $name) = (('data', 'other')[$n], $tables[$n]);
        my $path = $name eq 'penguins' ? "$tf->{home}/penguins.csv" : "$tf->{home}/data/$FILES{$name}";
        my $mode = $path =~ /tsv$/ ? '.mode tabs' : '.mode csv';
        my @names = $TYPES{$name} =~ /("[^"]+"|\w+) (?:TEXT|INTEGER|REAL)/g;
        push @commands, $mode, "CREATE TABLE $table ($TYPES{$name})", ".import --skip 1 '$path' $table",
            map { "UPDATE $table SET $_ = NULL WHERE $_ = ''" } @names;
    }
    my $out = run(find_program('sqlite3'), (map { ('-cmd', $_) } @commands), '-cmd', '.mode json', ':memory:', $query);
    return $out =~ /\S/ ? $json->decode($out) : [];
}

# Numbers may differ in their last digits: sqlite3 prints 15 of them.
sub alike {
    my ($got, $want) = @_;
    return !defined $got && !defined $want if !defined $got || !defined $want;
    return @$got == @$want && !grep { !alike($got->[$_], $want->[$_]) } 0 .. $#$want if ref $want eq 'ARRAY';
    return join("\0", sort keys %$got) eq join("\0", sort keys %$want) && !grep { !alike($got->{$_}, $want->{$_}) } keys %$want if ref $want eq 'HASH';
    return $got eq $want || "$got$want" =~ /^[-+.e\d]+$/ && abs($got - $want) <= 1e-9 * max(1, abs $want);
}
sub is_alike { my ($got, $want, $title) = @_; return ok(alike($got, $want), $title) || diag 'got ', substr($json->encode($got), 0, 900), "\nnot ", substr $json->encode($want), 0, 900 }

# The payload's rows are what sqlite3 returns for the query.
sub same_rows {
    my ($payload, $query, @tables) = @_;
    my $want = sqlite($query, @tables);
    my $got = result_of($payload);
    is_alike($got->{rows}, [@$want > 100 ? @$want[0 .. 99] : @$want], "$payload->{operation}: rows as sqlite3 has them: " . substr $query, 0, 60);
    is($got->{row_count}, scalar @$want, '... and as many');
    is($got->{truncated} ? 1 : 0, @$want > 100 ? 1 : 0, '... of which 100 are shown');
    return $got;
}

my $query = 'SELECT weather, count(*) AS days, avg(temp_max) AS warm, max(wind) AS w FROM data GROUP BY weather HAVING days > 30 ORDER BY warm DESC';
my $sql = same_rows({dataset => 'seattle-weather', operation => 'sql', query => $query}, $query, 'weather');
is_deeply($sql->{columns}, [qw(weather days warm w)], '... the columns in their order');
is($sql->{input_rows}, 1461, '... of as many rows as the file has');
same_rows({dataset => 'weather.csv.gz', operation => 'sql', query => $query}, $query, 'weather');
same_rows({dataset => 'seattle-weather', operation => 'group', group_by => 'weather', aggregates => [{function => 'count'},
    {function => 'avg', column => 'wind'}, {function => 'count_distinct', column => 'wind', as => 'winds'}], sort => [{column => 'avg_wind', order => 'desc'}]},
    'SELECT weather, count(*) AS count, avg(wind) AS avg_wind, count(DISTINCT wind) AS winds FROM data GROUP BY 1 ORDER BY 3 DESC', 'weather');
same_rows({dataset => 'unemployment.tsv', operation => 'filter', where => [{column => 'rate', op => 'ge', value => 0.15}, {column => 'id', op => 'not_in', value => [1011, 1035]}],
    sort => ['rate', {column => 'id', order => 'desc'}], columns => ['rate', 'id']},
    'SELECT rate, id FROM data WHERE rate >= 0.15 AND id NOT IN (1011, 1035) ORDER BY rate, id DESC', 'unemployment');
same_rows({dataset => 'seattle-weather.csv', operation => 'filter', match => 'any', where => [{column => 'date', op => 'starts_with', value => '2013-0'},
    {column => 'weather', op => 'contains', value => 'no'}, {column => 'date', op => 'ends_with', value => '12-31'}]},
    q(SELECT * FROM data WHERE date LIKE '2013-0%' OR weather LIKE '%no%' OR date LIKE '%12-31'), 'weather');
for my $form (qw(penguins.json penguins.jsonl penguins.ndjson.gz)) {
    same_rows({dataset => $form, operation => 'sort', sort => [{column => 'Body Mass (g)', order => 'desc'}, 'Beak Length (mm)'], columns => [@penguin[0, 5, 2]]},
        'SELECT "Species", "Body Mass (g)", "Beak Length (mm)" FROM data ORDER BY 2 DESC, 3', 'penguins');
}
same_rows({dataset => 'penguins.json', operation => 'filter', where => [{column => 'Sex', op => 'is_null'}]}, 'SELECT * FROM data WHERE "Sex" IS NULL', 'penguins');
same_rows({dataset => 'penguins.json', operation => 'dedupe', by => ['Species', 'Island'], keep => $_},
    'SELECT * FROM data WHERE rowid IN (SELECT ' . ($_ eq 'last' ? 'max' : 'min') . '(rowid) FROM data GROUP BY "Species", "Island") ORDER BY rowid', 'penguins') for qw(first last);
for my $how (qw(inner left)) {
    same_rows({dataset => 'lookup_people', operation => 'join', how => $how, with => {dataset => 'lookup_groups', rows => 5}, on => [{left => 'name', right => 'person'}]},
        qq(SELECT name, age, height, "group", person FROM data $how JOIN (SELECT * FROM other LIMIT 5) ON name = person ORDER BY data.rowid), 'people', 'groups');
}
my $joined = result_of({records => [{id => 1, v => 'a'}, {id => 2, v => 'b'}], operation => 'join', on => ['id'], with => {records => [{id => 2, v => 'x'}, {id => 2, v => 'y'}]}});
is_deeply($joined->{rows}, [{id => 2, v => 'b', v_2 => 'x'}, {id => 2, v => 'b', v_2 => 'y'}], 'of two columns of one name the second gets another');

# describe, beside Python's statistics
my $python = run('/usr/bin/python3', '-c', <<'END', "$tf->{home}/data/penguins.json", "$tf->{home}/data/seattle-weather.csv");
import collections, csv, json, statistics, sys
def about(values):
    there = [v for v in values if v is not None]
    top = sorted(collections.Counter(there).items(), key=lambda e: (-e[1], e[0]))[:5]
    numbers = there and not isinstance(there[0], str)
    return {"count": len(there), "nulls": len(values) - len(there), "distinct": len(set(there)), "min": min(there), "max": max(there),
            "mean": statistics.fmean(there) if numbers else None, "stddev": statistics.stdev(there) if numbers else None,
            "quartiles": statistics.quantiles(there, method="inclusive") if numbers else None,
            "top": [{"value": v, "count": n} for v, n in top]}
penguins = json.load(open(sys.argv[1]))
weather = list(csv.DictReader(open(sys.argv[2])))
print(json.dumps([{k: about([p[k] for p in penguins]) for k in penguins[0]},
                  {k: about([w[k] if k in ("date", "weather") else float(w[k]) for w in weather]) for k in weather[0]}]))
END
my $about = $json->decode($python);
my %described = (penguins => result_of({dataset => 'penguins.jsonl', operation => 'describe'}), weather => result_of({dataset => 'weather.csv.gz', operation => 'describe'}));
my %type = (date => 'text', weather => 'text', 'Species' => 'text', 'Island' => 'text', 'Sex' => 'text', 'Flipper Length (mm)' => 'integer', 'Body Mass (g)' => 'integer');
for my $n (0, 1) {
    my $columns = $described{('penguins', 'weather')[$n]}{columns};
    is(delete $columns->{$_}{type}, $type{$_} // 'real', "$_: its type") for sort keys %$columns;
    is_alike($columns->{$_}, $about->[$n]{$_}, "$_ is described as Python has it") for sort keys %{$about->[$n]};
}
is($described{penguins}{row_count}, 344, 'with the number of rows');

# ---- types
data('types.csv', "zip,n,big,phone,flag,none,mixed\n01234,1,9223372036854775807,+491,true,,1\n99999,-2,9223372036854775808,2,false,,1.5\n");
is_deeply({map { $_ => result_of({dataset => 'types', operation => 'describe', columns => [$_]})->{columns}{$_}{type} } qw(zip n big phone flag none mixed)},
    {zip => 'text', n => 'integer', big => 'text', phone => 'text', flag => 'text', none => 'null', mixed => 'real'}, 'postcodes, phone numbers and what is too long for an integer stay texts');
my $typed = result_of({operation => 'filter', where => [{column => 'ok', op => 'eq', value => true}],
    records => [{ok => true, n => 1, tags => ['x', {a => 1.5}], mixed => 1}, {ok => false, n => 2.5, tags => undef, mixed => 'one'}]});
is_deeply($typed->{rows}, [{ok => true, n => 1, tags => ['x', {a => 1.5}], mixed => '1'}], 'true is true, and what is nested comes out as it went in');
my $nested = result_of({records => [{who => {name => 'Ada'}}, {who => {name => 'Bob'}}], operation => 'sql', query => q(SELECT who ->> '$.name' AS name FROM data ORDER BY 1 DESC)});
is_deeply($nested->{rows}, [{name => 'Bob'}, {name => 'Ada'}], 'json functions look into it');
is_deeply([map { $_->{n} } @{result_of({records => [map { {n => $_} } 1 .. 20], operation => 'sort', sort => [{column => 'n', order => 'desc'}], limit => 3})->{rows}}], [20, 19, 18], 'limit');

# ---- all rows as a file of the job
sub file_of {
    my ($payload, $name) = @_;
    my $job = $tf->wait_for_end($tf->submit({type => 'data_processing', payload => $payload})->{id}, 60);
    is($job->{status}, 'SUCCESS', "output as $payload->{output}") or diag $job->{error};
    my $r = $tf->get("/api/v1/jobs/$job->{id}/files/$name");
    is_deeply($job->{result}{file}, {name => $name, size => length $r->body}, 'the result names the file');
    is(scalar @{$job->{result}{rows}}, $payload->{limit} // 100, '... and has the first rows');
    return $r->body;
}
my $all_penguins = file_of({dataset => 'penguins.ndjson.gz', operation => 'sort', sort => ['Species'], output => 'jsonl'}, 'rows.jsonl');
is_alike([map { $json->decode($_) } split /\n/, $all_penguins], [sort { $a->{Species} cmp $b->{Species} } @$penguins], 'JSON lines: all rows, in their order');
my $text = qq(a "b", c\nd);
my $csv = file_of({operation => 'filter', where => [{column => 'n', op => 'gt', value => 0}], output => 'csv', limit => 0,
    records => [{n => 1, t => $text, f => true}, {n => 2.5, t => '', f => undef}, {n => 0}]}, 'rows.csv');
my ($head, @fields) = map { [split /,/] } split /\r\n/, $csv =~ s/\Q$text\E//r =~ s/"a ""b"", c\nd"/TEXT/r;
is_deeply([sort @$head], [qw(f n t)], 'CSV: the names');
my @read = map { my %row; @row{@$head} = map { $_ // '' } @$_[0 .. 2]; \%row } @fields;
is_deeply(\@read, [{n => 1, t => 'TEXT', f => 'true'}, {n => 2.5, t => '', f => ''}], '... and the rows, quoted where they must be');
my $many = $tf->wait_for_end($tf->submit({type => 'data_processing', payload => {dataset => 'sales_q1', operation => 'sql', limit => 10000, output => 'csv',
    query => 'SELECT data.* FROM data, (SELECT 1 AS n UNION SELECT 2)'}})->{id}, 60);
like($many->{error}, qr/^the file of rows has more than 4194304 bytes \(TASKFORGE_FILES_MAX_BYTES\)$/, 'more than a job may store is an error');
my $cut = result_of({dataset => 'sales_q1', operation => 'sort', sort => ['units'], limit => 10000});
ok($cut->{truncated} && @{$cut->{rows}} > 5000 && @{$cut->{rows}} < 10000, 'rows that the result has no room for are left out') or diag scalar @{$cut->{rows}};
is($cut->{row_count}, 50000, '... but counted');

# ---- what the systems before this one sent
is_deeply(result_of({records => [{a => 1, b => 'x'}, {a => 3}]}), {dataset => 'records', operation => 'aggregate', rows => 2, text_columns => ['b'],
    columns => {a => {count => 2, sum => 4, mean => 2, min => 1, max => 3, stddev => sqrt 2, median => 2}}}, 'records in the payload');
is(result_of({data_size => 100})->{rows}, 100, 'data_size: so many rows of the default dataset');
is(result_of({records => 1000})->{rows}, 1000, 'records as a number: the same');
# its members come in any order
sub custom { my ($payload) = @_; my $job = $tf->wait_for_end($tf->submit({type => 'custom', payload => $payload})->{id}); is($job->{status}, 'SUCCESS', 'custom succeeds') or diag $job->{error}; return $job->{result} }
is_deeply(custom({answer => 42, who => 'me', deep => {a => [1]}, records => 'none'}), {dataset => 'records', operation => 'aggregate', rows => 1, text_columns => [qw(deep records who)],
    columns => {answer => {count => 1, sum => 42, mean => 42, min => 42, max => 42, stddev => undef, median => 42}}}, 'custom: any payload is one record');
is(custom({})->{rows}, 1, 'custom: also an empty one');
is(custom({dataset => 'sales_q1', rows => 5, shade => 'blue'})->{rows}, 5, 'custom: a dataset is processed');
is(custom({records => [{n => 1}, {n => 2}], operation => 'sort', sort => ['n']})->{row_count}, 2, 'custom: records too');

# ---- the page's commands
my $page = slurp("$FindBin::Bin/../docs/handlers.md");
my @commands = map { /^```sh\n(.*?)^```$/msg } $page =~ /^## (?:data_processing|custom)\n(.*?)(?=^## )/msg;
is(scalar @commands, 3, 'the page has commands');
for my $command (@commands) {
    my $said = do { local $ENV{TOKEN} = 'none'; run('sh', '-c', $command =~ s/127\.0\.0\.1:3000/127.0.0.1:$tf->{port}/r) };
    my $job = $tf->wait_for_end($json->decode($said)->{id}, 60);
    is($job->{status}, 'SUCCESS', 'the page: ' . substr $command =~ s/.*(?=\{"type")//sr, 0, 70) or diag $job->{error};
}

# ---- over HTTP
my $port = TaskForge::Stack::free_port();
my $server = TaskForge::Process->start(name => 'files', log => "$tf->{home}/log/files.log",
    command => ['/usr/bin/python3', '-m', 'http.server', '--bind', '127.0.0.2', '--directory', "$tf->{home}/data", $port]);
ok(wait_until(30, sub { IO::Socket::INET->new(PeerAddr => "127.0.0.2:$port") }), 'an HTTP server');
my $receiver = TaskForge::Receiver->start($tf->{home});
my $base = "http://127.0.0.2:$port";
my $here = "http://127.0.0.2:$receiver->{port}";
is_alike(result_of({url => "$base/weather.csv.gz", operation => 'sql', query => $query})->{rows}, $sql->{rows}, 'a file from an HTTP server');
is(result_of({url => "$here/redirect?$base/penguins.jsonl", operation => 'describe', format => 'jsonl'})->{row_count}, 344, '... after a redirect');

# ---- no query gets out of its tables
my @refused = (
    "ATTACH '$tf->{home}/x.db' AS x", 'PRAGMA database_list', "SELECT load_extension('x.so')", 'DELETE FROM data', "INSERT INTO data VALUES (1)",
    'SELECT 1; DROP TABLE data', 'CREATE TABLE x (a)', 'SELECT * FROM sqlite_schema', 'SELECT * FROM pragma_table_info(\'data\')', "VACUUM INTO '$tf->{home}/x.db'",
    'SELECT randomblob(10)', "SELECT readfile('/etc/passwd')", 'WITH x AS (SELECT 1) DELETE FROM data', '-- nothing', 'SELECT "no such name" FROM data',
);
my %refusal = map { $_ => $tf->submit({type => 'data_processing', payload => {records => [{a => 1}], operation => 'sql', query => $_}})->{id} } @refused;
for my $statement (@refused) {
    my $job = $tf->wait_for_end($refusal{$statement});
    is($job->{status}, 'FAILED', "refused: $statement");
    like($job->{error}, qr/^query: ./, "... $job->{error}");
}
ok(!-e "$tf->{home}/x.db", 'no file came of it');
# names that would be SQL if they were not quoted
my $evil = q(a" FROM data; DROP TABLE data; --);
my $named = result_of({records => [{$evil => 1, q(x'y) => 'z'}], operation => 'filter', where => [{column => $evil, op => 'eq', value => 1}], sort => [q(x'y)]});
is_deeply($named->{rows}, [{$evil => 1, q(x'y) => 'z'}], 'a name is a name');
is(result_of({records => [{$evil => 1}], operation => 'group', group_by => [$evil], aggregates => [{function => 'sum', column => $evil, as => q(";--)}]})->{row_count}, 1, '... in a group too');
is_deeply(result_of({records => [{v => q(' OR 1=1 --)}], operation => 'filter', where => [{column => 'v', op => 'eq', value => q(' OR 1=1 --)}]})->{row_count}, 1, '... and a value a value');

# What cannot work fails at once, and says why.
my $root_only = "$tf->{home}/data/closed.csv";
data('ragged.csv', "a,b\n1,2\n3\n");
spew($root_only, "a\n1\n");
chmod 0000, $root_only;
data('broken.jsonl', qq({"a":1}\n{"a":1,}\n));
data('broken.json', qq([{"a":1},\n {"a":\n tru}]));
data('cut.json', qq([{"a":1}, {"a":2}));
data('twice.jsonl', qq({"a":1}\n\n{"a":1,"a":2}\n));
data('list.jsonl', qq({"a":1}\n[1]\n));
data('wide.jsonl', join '', map { qq({"c$_":1}\n) } 0 .. 1024);
data('wide.csv', join(',', map { "c$_" } 0 .. 1024) . "\n");
data('alike.csv', "name,Name\n1,2\n");
data('long.jsonl', qq({"a":") . 'x' x 1_100_000 . qq("}\n));
gzip(\("n\n" . "1\n" x 5_000_000), "$tf->{home}/data/bomb.csv.gz") or die;
my $good = slurp("$tf->{home}/data/weather.csv.gz");
data('cut.csv.gz', substr $good, 0, 5000);
data('flipped.csv.gz', substr($good, 0, 3000) . ~substr($good, 3000, 1) . substr $good, 3001);
data('trailing.csv.gz', "${good}rubbish");
symlink '/etc/passwd', "$tf->{home}/data/out.jsonl";
my $filter = sub { my ($column, $op, @value) = @_; return (operation => 'filter', where => [{column => $column, op => $op, @value ? (value => $value[0]) : ()}]) };
my @failures = (
    [{dataset => 'sales_q9'},                        qr/^sales_q9\.csv: no such file/],
    [{dataset => '../conf/taskforge.env'},           qr/^\.\.\/conf\/taskforge\.env: leads out of the data directory$/],
    [{dataset => 'ragged'},                          qr/^ragged\.csv: line 3: 1 field where the first line has 2$/],
    [{dataset => 'sales_q1', group_by => 'colour'},  qr/^sales_q1\.csv: there is no column "colour"$/],
    [{dataset => '../conf/x.jsonl', operation => 'describe'}, qr/leads out of the data directory$/],
    [{dataset => 'out.jsonl'},                       qr/^out\.jsonl: leads out of the data directory$/],
    [{dataset => 'broken.jsonl'},                    qr/^broken\.jsonl: line 2, column 8: /],
    [{dataset => 'broken.json'},                     qr/^broken\.json: line 3, column 4: /],
    [{dataset => 'cut.json'},                        qr/^cut\.json: line 1, column 18: the array does not end$/],
    [{dataset => 'twice.jsonl'},                     qr/^twice\.jsonl: line 3, column \d+: duplicate object key/],
    [{dataset => 'list.jsonl'},                      qr/^list\.jsonl: line 2, column 1: a row must be an object$/],
    [{dataset => 'long.jsonl'},                      qr/^long\.jsonl: line 1, column 1: a row of more than 1048576 bytes$/],
    [{dataset => 'wide.jsonl'},                      qr/^wide\.jsonl: line 1025: more than 1024 different members$/],
    [{dataset => 'wide.csv', operation => 'describe'}, qr/^wide\.csv: line 1: more than 1024 fields$/],
    [{dataset => 'alike', operation => 'describe'},  qr/^alike\.csv: two columns are named \(but for upper and lower case\) "Name"$/],
    [{dataset => 'bomb.csv.gz'},                     qr/^bomb\.csv\.gz: there are more than 8 MB in the gzip file/],
    [{dataset => 'cut.csv.gz'},                      qr/^cut\.csv\.gz: the gzip file is cut off$/],
    [{dataset => 'flipped.csv.gz'},                  qr/^flipped\.csv\.gz: (?:the gzip file is broken|line \d+)/],
    [{dataset => 'trailing.csv.gz'},                 qr/^trailing\.csv\.gz: the gzip file is broken/],
    [{url => "$base/nothing.csv"},                   qr/^\Q$base\E\/nothing\.csv: HTTP 404$/],
    [{url => "$here/huge"},                          qr/huge: more than 8 MB/],
    [{url => 'http://127.0.0.1:1/x.csv?secret=1'},   qr/^http:\/\/127\.0\.0\.1:1\/x\.csv: refused: /],
    [{url => 'file:///etc/passwd'},                  qr/refused: /],
    [{dataset => 'sales_q1', $filter->('unitz', 'eq', 1)}, qr/^sales_q1\.csv: there is no column "unitz"$/],
    [{dataset => 'sales_q1', $filter->('units', 'eq', 'many')}, qr/^payload: "where"\[0\]: "value" must be a number: the column has numbers$/],
    [{dataset => 'sales_q1', $filter->('units', 'contains', '1')}, qr/^payload: "where"\[0\]: "op" is for columns with texts$/],
    [{dataset => 'sales_q1', $filter->('units', 'in', [])}, qr/^payload: "where"\[0\] must have a "value" with a list/],
    [{dataset => 'sales_q1', operation => 'sort'},   qr/^payload: "sort" is missing$/],
    [{dataset => 'sales_q1', where => [{column => 'units', op => 'eq', value => 1}]}, qr/^payload: "where" is not for "aggregate"$/],
    [{dataset => 'sales_q1', operation => 'group', group_by => 'region', aggregates => [{function => 'sum', column => 'product'}]}, qr/sum of a column that does not have numbers: product$/],
    [{dataset => 'sales_q1', operation => 'sql', query => 'SELECT units AS a, revenue AS a FROM data'}, qr/^query: two columns of the result are named "a"/],
    [{dataset => 'sales_q1', operation => 'sql', query => 'SELECT median(n) FROM (WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 9000000) SELECT n FROM r)'},
        qr/^query: takes more than 16 MB of memory \(TASKFORGE_DATA_MEMORY_MB\)$/],
    [{dataset => 'sales_q1', operation => 'sql', query => q(SELECT count(*) FROM (SELECT DISTINCT printf('%01000d', a.order_id), b.order_id FROM data a, (SELECT order_id FROM data LIMIT 10) b))},
        qr/^query: takes more than 64 MB of temporary files \(TASKFORGE_DATA_DISK_MB\)$/],
);
my ($worker_uid) = TaskForge::Process::unprivileged();
push @failures, [{dataset => 'closed'}, qr/^closed\.csv: Permission denied$/] if defined $worker_uid || $> != 0;
push @$_, $tf->submit({type => 'data_processing', payload => $_->[0]})->{id} for @failures;
for my $case (@failures) {
    my ($payload, $error, $id) = @$case;
    my $job = $tf->wait_for_end($id, 180);
    is($job->{status}, 'FAILED', "FAILED: $error");
    is($job->{attempt}, 1, 'after one attempt');
    like($job->{error}, $error, 'error says why');
}

refuses_inside($tf, 'data_processing', $receiver, '/redirect?', sub { {url => $_[0]} });

# ---- a query that would not end
my $endless = $tf->submit({type => 'data_processing', payload => {dataset => 'sales_q1', operation => 'sql', query => 'SELECT count(*) FROM data a, data b, data c WHERE a.units > b.units'}})->{id};
ok(wait_until(60, sub { $tf->job($endless)->{progress} >= 80 }), 'a query over 125,000,000,000,000 rows runs');
my @spilled = grep { /^\Q$spool\E\/.* \(deleted\)$/ } map { readlink($_) // '' } map { glob "/proc/$_/fd/*" } children_of($tf->part('worker')->pid);
ok(scalar @spilled, 'what it does not keep in memory is in files');
is_deeply([glob "$spool/*"], [], 'that have no names: nothing of them stays, however the process ends');
my $asked = time;
is($tf->post("/api/v1/jobs/$endless/cancel", {})->status, 202, 'it is cancelled');
is($tf->wait_for_end($endless, 30)->{status}, 'CANCELLED', 'and ends');
cmp_ok(time - $asked, '<', 15, 'soon');
my $log = $tf->get("/api/v1/jobs/$endless/logs")->body;
like($log, qr/50000 rows are in table data/, 'its log has the stages');

done_testing;
