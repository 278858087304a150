# data_pipeline between real files, tables, an HTTP server and an object store that checks signatures: what arrives is what
# Python reads from the same source, once, however the job is interrupted.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use Compress::Zlib ();
use File::Path qw(make_path);
use TaskForge::Files qw(find_program give_away slurp spew);
use TaskForge::Inside qw(refuses_inside);
use TaskForge::Postgres;
use TaskForge::Process qw(children_of run);
use TaskForge::Receiver;
use TaskForge::S3;

my $tf = TaskForge->start(parts => ['postgres'], dataset => 1);
my $home = $tf->{home};
my $data = "$home/data";
my $s3 = TaskForge::S3->start($home);
my $json = JSON::PP->new->utf8->canonical;

sub warehouse { return TaskForge::Postgres::psql("$home/run", 'warehouse', @_) }
TaskForge::Postgres::psql("$home/run", 'taskforge', 'CREATE DATABASE warehouse OWNER taskforge_owner');
warehouse('CREATE SCHEMA shop AUTHORIZATION taskforge_owner', 'SET ROLE taskforge_owner; CREATE TABLE shop.orders (order_id integer PRIMARY KEY,
    order_date date, region text, product text, category text, units integer CHECK (units > 0), unit_price numeric, discount numeric, revenue numeric);
    CREATE TABLE shop.slow (id integer PRIMARY KEY CHECK (id > 1)); CREATE SEQUENCE shop.seen;
    CREATE FUNCTION shop.wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval(\'shop.seen\'), pg_sleep(0.2); RETURN new; END $$;
    CREATE TRIGGER wait AFTER INSERT ON shop.slow FOR EACH ROW EXECUTE FUNCTION shop.wait();
    CREATE TABLE shop.secrets (id integer); CREATE TABLE shop.heap (id integer);
    CREATE TABLE shop."Odd ""name"" (x)" (a text, "b;c" integer, k integer, at timestamptz, ok boolean, doc jsonb, f float8, PRIMARY KEY (k, a));');
my $url = "postgresql:///warehouse?host=$home/run&user=taskforge_owner";
make_path("$home/connections");
sub connection { my ($name, $text) = @_; spew("$home/connections/$name.json", $text); chmod 0600, "$home/connections/$name.json"; return }
connection(wh => $json->encode({postgresql => {url => $url, tables => ['shop.orders', 'shop.slow', 'shop.heap', 'shop.none', 'shop.Odd "name" (x)'], write => true}}));
connection(wh_ro => $json->encode({postgresql => {url => $url, tables => ['shop.orders']}}));
connection(wh_away => $json->encode({postgresql => {url => "postgresql://x:hunter2\@127.0.0.1:1/x", tables => ['*']}}));
connection(lake => $s3->connection);
connection(lake_wrong => $s3->connection(secret_key => 'another'));
give_away("$home/connections", glob "$home/connections/*");
@{$tf->{settings}}{qw(TASKFORGE_CONNECTIONS_DIR TASKFORGE_OUTGOING_ALLOW TASKFORGE_WORKER_CONCURRENCY TASKFORGE_LOST_SECONDS)} = ("$home/connections", '127.0.0.2', 5, 60);
$tf->start_part($_) for qw(redis scheduler worker nginx);

sub submit { my (%payload) = @_; return $tf->submit({type => 'data_pipeline', payload => \%payload})->{id} }
# Waits without asking all the time.
sub ended {
    my ($id) = @_;
    for (1 .. 4) {
        my $job = $tf->http->get("/api/v1/jobs/$id", headers => {Prefer => 'wait=30'}, timeout => 40)->json;
        return $job if $job->{status} =~ /^(?:SUCCESS|FAILED|DEAD_LETTER|CANCELLED)$/;
    }
    return $tf->job($id);
}
sub piped {
    my (%payload) = @_;
    my $job = ended(submit(%payload));
    is($job->{status}, 'SUCCESS', 'SUCCESS') or diag(explain([$job->{error}, \%payload]));
    return $job;
}
sub lines { return map { $_->{message} } @{$tf->job($_[0])->{logs}} }
sub output { my ($name) = @_; return slurp("$data/output/$name") }

# What Python makes of a file of the data directory: records as JSON lines.
sub python {
    my ($code, @files) = @_;
    return run('/usr/bin/python3', '-c', "import csv, json, sys
for r in ($code): print(json.dumps({k: int(v) if type(v) == float and v == int(v) else v for k, v in r.items()}, sort_keys=True))", @files);
}
my $dict = 'dict((k, v or None) for k, v in r.items())';
# JSON lines in the same words.
sub canonical { my ($text) = @_; spew("$home/lines.jsonl", $text); return python('(json.loads(line) for line in open(sys.argv[1]))', "$home/lines.jsonl") }
sub same { my ($got, $expected, $title) = @_; return ok($got eq $expected, $title) || diag(substr($got, 0, 300) . "\n" . substr $expected, 0, 300) }

# ---- the seed's payload
my $seed = piped(source => 'sales_q1.csv', destination => 'file:first.csv', record_count => 250);
is_deeply({%{$seed->{result}}{qw(status source destination records_processed)}},
    {status => 'completed', source => 'sales_q1.csv', destination => 'file:first.csv', records_processed => 250}, 'the result');
is_deeply([grep { /^batch/ } lines($seed->{id})], ['batch 1/3: records 1-100', 'batch 2/3: records 101-200', 'batch 3/3: records 201-250'], 'a line for each batch');
is((grep { /^batch/ } lines(piped(source => 'sales_q1.csv', destination => 'most.csv', record_count => 9223372036854775807, batch_size => 10000)->{id}))[0],
    'batch 1/922337203685478: records 1-10000', 'the largest record_count there is');
is(output('first.csv'), join('', (split /^/, slurp("$data/sales_q1.csv"))[0 .. 250]), 'the first 250 records, as they were');
is_deeply([glob "$data/output/.parts/*"], [], 'nothing is left beside it');

my ($curl) = grep { /"type": "data_pipeline"/ } slurp("$FindBin::Bin/../docs/handlers.md") =~ /^```sh\n(.*?)^```$/msg;
$curl =~ s/127\.0\.0\.1:3000/127.0.0.1:$tf->{port}/;
my $east_job = ended($json->decode(scalar `$curl`)->{id});
is_deeply([$east_job->{status}, @{$east_job->{result}}{qw(records_processed batches)}], ['SUCCESS', 50_000, 50], 'the example of docs/handlers.md works as printed') or diag(explain($east_job));
is($east_job->{result}{records_written}, scalar(grep { /,East,/ } split /\n/, slurp("$data/sales_q1.csv")), '... and keeps what it says');

# ---- formats and steps, file to file
my $q1 = "$data/sales_q1.csv";
my $job = piped(source => 'file:sales_q1.csv', destination => 'file:a/b/east.jsonl.gz', batch_size => 5000, steps => [
    {filter => {column => 'region', op => 'in', value => ['East', 'North']}}, {filter => {column => 'revenue', op => 'gt', value => 5000}},
    {select => ['order_id', 'order_date', 'revenue', 'units']}, {rename => {revenue => 'amount'}},
    {cast => {order_id => 'integer', units => 'integer', amount => 'number', order_date => 'timestamp'}}, {limit => 700}]);
my $expected = python('({"order_id": int(r["order_id"]), "order_date": r["order_date"] + "T00:00:00.000000Z", "amount": float(r["revenue"]), "units": int(r["units"])}
  for r in [r for r in csv.DictReader(open(sys.argv[1])) if r["region"] in ("East", "North") and float(r["revenue"]) > 5000][:700])', $q1);
my $east = run('/bin/sh', '-c', 'gzip -dc "$0"', "$data/output/a/b/east.jsonl.gz");
same(canonical($east), $expected, 'filter, select, rename, cast, limit: what Python has');
is($job->{result}{records_written}, 700, '... as many as the limit says');
piped(source => 'output/a/b/east.jsonl.gz', destination => 'east.json', batch_size => 64);
is_deeply($json->decode(output('east.json')), [map { $json->decode($_) } split /\n/, $east], 'JSON lines, packed, into a JSON array');
piped(source => 'output/east.json', destination => 'east.tsv', batch_size => 99);
piped(source => 'output/east.tsv', destination => 'east.csv', steps => [{cast => {amount => 'number', units => 'integer'}}]);
is(output('east.csv'), output('east.tsv') =~ tr/\t/,/r, '... into TSV and into CSV');
is((split /\n/, output('east.csv'))[0], 'order_id,order_date,amount,units', '... with the columns in their order');
spew("$data/odd.csv", "\xEF\xBB\xBFname,\"no,te\",n\r\n\"a \"\"b\"\"\",\"x\r\ny\",1\r\n,,2\r\nZo\xC3\xAB,z,\r\nZo\xC3\xAB,zz,9\n");
piped(source => 'odd.csv', destination => 'odd.csv', steps => [{default => {n => 7}}, {dedupe => ['name']}]);
is(output('odd.csv'), "name,\"no,te\",n\n\"a \"\"b\"\"\",\"x\r\ny\",1\n,,2\nZo\xC3\xAB,z,7\n", 'quotes, line ends within, a byte order mark; default and dedupe');
piped(source => 'odd.csv', destination => 'none.json', steps => [{filter => {column => 'name', op => 'eq', value => 'nobody'}}]);
is_deeply($json->decode(output('none.json')), [], 'no record at all is an empty array');

# ---- bad records
spew("$data/bad.csv", "id,n\n1,1\n2,x\n3,3,3\n4,4\n\xff,5\n6,\n");
my %bad = (source => 'bad.csv', steps => [{cast => {n => 'integer'}}]);
$job = ended(submit(%bad, destination => 'never.csv'));
is_deeply([@$job{qw(status error attempt)}], ['FAILED', 'record 2 (line 3): column "n": "x" is no integer', 1], 'a bad record fails the job');
ok(!-e "$data/output/never.csv" && !glob("$data/output/.parts/*"), '... and leaves nothing');
$job = piped(%bad, destination => 'good.csv', on_error => 'skip');
is(output('good.csv'), "id,n\n1,1\n4,4\n6,\n", 'or is skipped');
is_deeply($job->{result}{skipped}, [{record => 2, line => 3, reason => 'column "n": "x" is no integer'}, {record => 3, line => 4, reason => 'line 4: 3 fields where the first line has 2'},
    {record => 5, line => 6, reason => 'line 6: byte 0xFF is not valid UTF-8'}], '... and the result says which, and why');
for my $case (['cut.csv.gz', substr(Compress::Zlib::memGzip(slurp($q1)), 0, 5000), qr/^source: the gzip data is cut off$/],
    ['broken.json', '[{"a": 1}, {"a": 2}', qr/^source: line 1: the array is not closed$/], ['text.json', '{"a": 1}', qr/^source: not a JSON array of objects$/],
    ['quote.csv', "a,b\n\"x,1\n", qr/^source: line 2: a quote is opened and never closed$/], ['twice.csv', "a,a\n1,2\n", qr/^source: line 1: two columns are called "a"$/]) {
    my ($name, $text, $error) = @$case;
    spew("$data/$name", $text);
    $job = ended(submit(source => $name, destination => 'never.csv', on_error => 'skip', batch_size => 7));
    is($job->{status}, 'FAILED', "$name: FAILED") and like($job->{error}, $error, "... $error");
}


# ---- tables
sub rows { return join '', map { "$_->[0]\n" } warehouse("SELECT json_strip_nulls(row_to_json(o)) FROM shop.orders o $_[0] ORDER BY order_id") }
my $typed = python('({**{k: v or None for k, v in r.items()}, "order_id": int(r["order_id"]), "units": int(r["units"]), "unit_price": float(r["unit_price"]), "discount": float(r["discount"]), "revenue": float(r["revenue"])} for r in list(csv.DictReader(open(sys.argv[1])))[:3000])', $q1);
$job = piped(source => 'sales_q1.csv', destination => 'postgresql://wh/shop.orders', record_count => 3000, batch_size => 700);
is($job->{result}{records_written}, 3000, 'a file into a table');
same(canonical(rows('')), $typed, '... what Python has');
piped(source => {postgresql => {connection => 'wh_ro', table => 'shop.orders'}}, destination => 'table.csv', batch_size => 450);
is(join('', sort split /^/, output('table.csv')), join('', sort +(split /^/, slurp($q1))[0 .. 3000]), 'a table into a file: the file that it was made from');
$job = ended(submit(source => 'sales_q1.csv', destination => 'postgresql://wh/shop.orders', record_count => 10));
like($job->{error}, qr/^record 1 \(line 2\): duplicate key value violates unique constraint "orders_pkey"$/, 'rows that are there already: an error, which says which');
piped(source => 'sales_q1.csv', destination => {postgresql => {connection => 'wh', table => 'shop.orders'}, key => ['order_id']}, record_count => 3100,
    steps => [{select => ['order_id', 'units']}, {cast => {units => 'integer'}}, {rename => {units => 'units'}}]);
is((warehouse('SELECT count(*) FROM shop.orders WHERE region IS NULL'))[0][0], 100, 'with a key, the others are updated and these added');
spew("$data/some.jsonl", join "\n", '{"order_id": 90001, "units": 1}', '{"order_id": 90002, "units": -1}', '{"order_id": 90001, "units": 5}', '{"order_id": "x", "units": 5}',
    '{"order_id": 90003, "colour": 1}', '{"order_id": 90004}', '');
$job = piped(source => 'some.jsonl', destination => 'postgresql://wh/shop.orders', on_error => 'skip');
is_deeply([map { $_->{record} } @{$job->{result}{skipped}}], [5, 2, 3, 4], 'what a table does not take is skipped record by record') or diag(explain($job->{result}));
is_deeply([warehouse('SELECT order_id, units FROM shop.orders WHERE order_id BETWEEN 90000 AND 90009 ORDER BY 1')], [[90001, 1], [90004, undef]], '... and nothing else');
spew("$data/odd.jsonl", '{"a": "x\u00e9\'; DROP TABLE shop.orders; --", "b;c": 1, "k": 2, "at": "2024-02-29 10:00:00+02", "ok": true, "doc": {"x": [1, 2.5]}, "f": 0.1}' . "\n"
    . '{"a": "", "b;c": null, "k": 1, "at": null, "ok": null, "doc": null, "f": null}' . "\n");
my $odd = {connection => 'wh', table => 'shop.Odd "name" (x)'};
piped(source => 'odd.jsonl', destination => {postgresql => $odd});
piped(source => {postgresql => $odd}, destination => 'odd.jsonl');
is_deeply([map { $json->decode($_) } split /\n/, output('odd.jsonl')], [{a => '', 'b;c' => undef, k => 1, at => undef, ok => undef, doc => undef, f => undef},
    {a => "x\xe9'; DROP TABLE shop.orders; --", 'b;c' => 1, k => 2, at => '2024-02-29 08:00:00+00', ok => true, doc => {x => [1, 2.5]}, f => 0.1}], 'odd names, and a value of each type');

# ---- HTTP and S3
my $small = "$data/small.csv";
spew($small, join '', (split /^/, slurp($q1))[0 .. 12_000]);
my $packed = Compress::Zlib::memGzip(slurp($small));
$s3->object('public/q1.csv', slurp($small));
$s3->object('public/q1.csv.gz', $packed);
warehouse('DELETE FROM shop.orders');
piped(source => $s3->endpoint . '/public/q1.csv.gz?version=1', destination => 'postgresql://wh/shop.orders', record_count => 3000, batch_size => 1000);
same(canonical(rows('')), $typed, 'HTTP, packed, into a table');
$s3->object('lake/in/q1 +&%.csv.gz', $packed);
$job = piped(source => 's3://lake/lake/in/q1 +&%.csv.gz', destination => {s3 => {connection => 'lake', bucket => 'lake', key => 'out/q1.jsonl'}}, batch_size => 10_000);
same(canonical($s3->object('lake/out/q1.jsonl')), python("({k: v or None for k, v in r.items()} for r in csv.DictReader(open(sys.argv[1])))", $small), 'an object into an object');
is_deeply([grep { m{^POST|^PUT} } $s3->requests], ['PUT /lake/out/q1.jsonl 200'], '... sent at once, as it is small');
is_deeply([$s3->uploads], [], 'no upload is left');

# ---- refused: places that are nobody's business
my @refused = (
    [{source => '../conf/taskforge.env', format => 1}, qr/say its "format"$/],
    [{source => '../conf/x.csv'}, qr/^\.\.\/conf\/x\.csv: leads out of the data directory$/],
    [{source => 'link.csv'}, qr/^link\.csv: leads out of the data directory$/],
    [{source => '/etc/passwd.csv'}, qr/leads out of the data directory$/],
    [{destination => '../up.csv'}, qr/^destination: \.\.\/up\.csv: leads out of the output directory$/],
    [{destination => 'a/../../up.csv'}, qr/leads out of the output directory$/],
    [{destination => '/tmp/up.csv'}, qr/leads out of the output directory$/],
    [{destination => 'out/up.csv'}, qr/leads out of the output directory$/],
    [{destination => 'a'}, qr/say its "format"$/], [{destination => 'dir.csv/..', }, qr/say its "format"$/], [{destination => 'dir.csv'}, qr/^destination: dir\.csv: Is a directory$/],
    [{source => 'http://127.0.0.1:1/x.csv'}, qr/^source: GET: refused: the URL's host is a loopback address$/],
    [{source => 'bomb.jsonl.gz'}, qr/^source: the gzip data inflate to more than 400 times their size \(a bomb\?\)$/],
    [{destination => '.parts/x.csv'}, qr/^destination: \.parts\/x\.csv: is no name of a file$/], [{destination => 'a/.parts/x.csv'}, qr/is no name of a file$/],
    [{source => 'postgresql://wh_away/shop.taskforge_checkpoints'}, qr/^payload: "source" names the table "shop\.taskforge_checkpoints", which is not one of/],
    [{source => 'ftp://127.0.0.1/x.csv'}, qr/^payload: "source" must begin with/], [{destination => 'http://127.0.0.1/x.csv'}, qr/^payload: "destination" cannot be an http URL$/],
    [{source => 'postgresql://x:hunter2@db/shop.orders'}, qr/^payload: "source" must name a connection of the operator: postgresql$/],
    [{source => 'postgresql://nobody/shop.orders'}, qr/^payload: "source" names "nobody", and there is no postgresql connection of that name$/],
    [{source => 'postgresql://lake/shop.orders'}, qr/there is no postgresql connection of that name$/],
    [{source => 'postgresql://wh/shop.secrets'}, qr/^payload: "source" names the table "shop\.secrets", which is not one of the connection "wh"$/],
    [{source => 'postgresql://wh/shop.orders; DROP TABLE shop.orders'}, qr/is not one of the connection "wh"$/], [{source => 'postgresql://wh/shop."orders"'}, qr/is not one of/],
    [{source => 'postgresql://wh/shop.none'}, qr/^source: wh: there is no table shop\.none$/], [{source => 'postgresql://wh/shop.heap'}, qr/^source: shop\.heap has no primary key:/],
    [{destination => 'postgresql://wh_ro/shop.orders'}, qr/^payload: "destination" may not be written: the connection "wh_ro" is for reading$/],
    [{destination => 'postgresql://wh/shop.orders', steps => [{rename => {units => 'units") SELECT 1; --'}}]}, qr/^destination: shop\.orders has no column "units"\) SELECT 1; --"$/],
    [{source => 's3://lake/other/x.csv'}, qr/^payload: "source" names the bucket "other", which is not one of the connection "lake"$/],
    [{source => 's3://lake/lake/none.csv'}, qr/^source: GET: HTTP 404: NoSuchKey: No & no\.$/], [{source => 's3://lake_wrong/lake/in/x.csv'}, qr/^source: GET: HTTP 403: SignatureDoesNotMatch: /],
    [{source => 's3://lake/lake/../other/x.csv'}, qr/^payload: "source" has a key with a part that is "\." or "\.\."$/],
    [{steps => [{cast => {colour => 'integer'}}]}, qr/^record 1 \(line 2\): there is no column "colour"$/],
    [{steps => [{filter => {column => 'units', op => 'in', value => 3}}]}, qr/^payload: a "filter" step: the "value" of in must be a list/],
);
symlink "$home/conf/taskforge.env", "$data/link.csv";
spew("$data/bomb.jsonl.gz", Compress::Zlib::memGzip('0' x (1 << 20)) x 100);
symlink '/tmp', "$data/output/out";
make_path("$data/output/dir.csv");
my @ids;
for my $case (@refused) {
    my %payload = (source => 'sales_q1.csv', destination => 'never.csv', record_count => 20, %{$case->[0]});
    delete $payload{format};
    push @ids, submit(%payload);
}
for my $n (0 .. $#refused) {
    $job = ended($ids[$n]);
    ok($job->{status} eq 'FAILED' && $job->{error} =~ $refused[$n][1], "refused: $refused[$n][1]") or diag(explain([@$job{qw(status error)}, $refused[$n][0]]));
}
refuses_inside($tf, 'data_pipeline', TaskForge::Receiver->start($home), '/redirect?', sub { {source => {http => $_[0], format => 'csv'}, destination => 'never.csv'} });
ok(!-e "$data/up.csv" && !-e '/tmp/up.csv' && !-e "$home/up.csv", 'nothing was written elsewhere');
is($tf->post('/api/v1/jobs', {type => 'data_pipeline', payload => $_->[0]})->json->{errors}[0]{pointer}, "#/payload$_->[1]", "the schema refuses $_->[1]")
    for [{source => 'a.csv'}, '/destination'], [{source => 1, destination => 'a.csv'}, '/source'], [{source => 'a.csv', destination => 'b.csv', batch_size => 0}, '/batch_size'],
    [{source => 'a.csv', destination => {file => 'b.csv', dsn => 'x'}}, '/destination/dsn'], [{source => 'a.csv', destination => 'b.csv', steps => [{sort => ['a']}]}, '/steps/0/sort'];
$job = $tf->submit({type => 'data_pipeline', max_retries => 0, payload => {source => 'postgresql://wh_away/t', destination => 'x.csv'}});
$job = ended($job->{id});
ok($job->{status} eq 'DEAD_LETTER' && $job->{error} !~ /hunter2/, 'a database that is away is tried again, and its password is nowhere') or diag(explain($job));

# ---- interrupted: the worker is killed in the middle of all of these, which cannot save their second checkpoint meanwhile
# A transaction that tries the statement until it has to do with so many rows, then does $end and lasts until what this returns is
# gone. Returns as soon as it tries.
sub as_soon_as {
    my ($database, $rows, $statement, $end) = @_;
    my $said = "$home/said.$database";
    unlink $said; # of an earlier call: what it says is not said yet
    open my $psql, '|-', 'sh', '-c', 'exec "$@" >"$0"', $said, TaskForge::Postgres::psql_command("$home/run", 'postgres', $database) or die "psql: $!";
    print {$psql} "\\echo begins\nBEGIN; DO \$\$ DECLARE n int; BEGIN LOOP $statement; GET DIAGNOSTICS n = ROW_COUNT; EXIT WHEN n = $rows; ",
        "PERFORM pg_sleep(0.002); END LOOP; END \$\$;\n$end\n\\echo done\n";
    $psql->flush;
    wait_until(30, sub { -s $said }) or die "psql does not begin\n";
    return ($psql, $said);
}

# Locks the checkpoints of the next so many jobs.
sub hold { my ($database, $table, $jobs, $after) = @_; return as_soon_as($database, $jobs, "PERFORM FROM $table WHERE job_id > '$after' AND data IS NOT NULL FOR UPDATE", '') }
warehouse('DELETE FROM shop.orders');
$s3->object('public/changing.csv', slurp($small));
my $note = 'x' x 1500;
# a job that tells no progress: the worker writes that of all its jobs in one statement, at most every half second, and would write it
# again while some of these are locked and one has no checkpoint yet
my $after = $tf->submit({type => 'noop'})->{id};
my @hold = (hold('taskforge', 'job_checkpoints', 4, $after), hold('warehouse', 'shop.taskforge_checkpoints', 1, $after));
my %running = (
    object => submit(source => 's3://lake/lake/in/q1 +&%.csv.gz', destination => 's3://lake/lake/out/killed.jsonl', batch_size => 1000, steps => [{default => {note => $note}}]),
    file => submit(source => 'small.csv', destination => 'killed.csv.gz', batch_size => 200),
    table => submit(source => 'small.csv', destination => 'postgresql://wh/shop.orders', batch_size => 200),
    url => submit(source => $s3->endpoint . '/public/q1.csv', destination => 'killed.json', batch_size => 200),
    changing => submit(source => $s3->endpoint . '/public/changing.csv', destination => 'changing.csv', batch_size => 200),
);
wait_until(90, sub { !grep { slurp($_) !~ /done/ } @hold[1, 3] }, 0.1) or diag('not so far');
my @before = $s3->requests;
is(scalar(grep { $tf->job($_)->{status} eq 'RUNNING' } values %running), 5, 'all are in the middle');
$tf->kill_part('worker');
@hold = ();
$s3->object('public/changing.csv', slurp($small) . "1,2024-01-01,North,x,y,1,1,0,1\n");
$tf->start_part('worker');
my %second = map { $_ => ended($running{$_}) } keys %running;
is_deeply({map { $_ => [@{$second{$_}}{qw(status attempt)}] } keys %second}, {(map { $_ => ['SUCCESS', 2] } qw(file table url object)), changing => ['FAILED', 2]},
    'they succeed in their second attempt, but for the one whose source has changed') or diag(explain([map { $_->{error} } values %second]));
my %on;
for my $name (keys %running) { ($on{$name}) = map { /^going on behind batch (\d+), record (\d+)$/ ? [$1, $2] : () } lines($running{$name}) }
ok($on{$_}[0] >= 1 && $on{$_}[0] < 99 && $on{$_}[1] == 200 * $on{$_}[0], "$_: going on behind its last batch") or diag(explain($on{$_})) for qw(file table url);
ok($on{object}[0] >= 1, 'object: going on behind its last part') or diag(explain($on{object}));
ok(run('/bin/sh', '-c', 'gzip -dc "$0"', "$data/output/killed.csv.gz") eq slurp($small), 'a file: as if nothing had happened');
same(canonical(rows('')), python('({**{k: v or None for k, v in r.items()}, "order_id": int(r["order_id"]), "units": int(r["units"]), "unit_price": float(r["unit_price"]),
    "discount": float(r["discount"]), "revenue": float(r["revenue"])} for r in csv.DictReader(open(sys.argv[1])))', $small), 'a table: each row once');
my $all = '({k: v or None for k, v in r.items()} for r in csv.DictReader(open(sys.argv[1])))';
same(python('json.load(open(sys.argv[1]))', "$data/output/killed.json"), python($all, $small), 'a URL: all of it');
my @again = ($s3->requests)[@before .. $s3->requests - 1];
is(scalar(grep { m{^GET /public/q1\.csv 206 bytes=[1-9]\d+-$} } @again), 1, '... and only the rest was asked for again');
same(canonical($s3->object('lake/out/killed.jsonl')), python($all =~ s/for k, v in r.items\(\)/$& | {"note": "$note"}/r =~ s/\{k: v or None for k, v in r.items\(\) \| (\{.*?\})\}/{**{k: v or None for k, v in r.items()}, **$1}/r, $small),
    'an object: all of it');
is(scalar(grep { m{^PUT /lake/out/killed\.jsonl\?partNumber=1&} } $s3->requests), 1, '... its first part was sent once');
is_deeply([$s3->uploads], [], 'no upload is left');
like($second{changing}{error}, qr{^source: http://127\.0\.0\.2:\d+/public/changing\.csv: has changed since an earlier attempt read a part of it; retry the job by hand}, 'a source that has changed: says so');
ok(!-e "$data/output/changing.csv" && !glob("$data/output/.parts/*"), '... and leaves nothing');
is($tf->post("/api/v1/jobs/$running{changing}/retry", {})->status, 200, 'retried by hand');
$job = ended($running{changing});
ok($job->{status} eq 'SUCCESS' && output('changing.csv') eq $s3->object('public/changing.csv'), '... it begins anew') or diag(explain($job));

# ---- a run that comes too late
$after = $running{changing};
$after = $tf->sql_value("SELECT max(id::text) FROM jobs WHERE id::text >= '$after'");
@hold = as_soon_as('taskforge', 1, "UPDATE jobs SET incarnation = incarnation + 1000000 WHERE id > '$after' AND EXISTS (SELECT FROM job_checkpoints WHERE job_id = id)",
    "SELECT data FROM job_checkpoints WHERE job_id > '$after';\nCOMMIT;");
my $late = submit(source => 'small.csv', destination => 'late.csv', batch_size => 100);
wait_until(60, sub { slurp($hold[1]) =~ /done/ }) or diag('not so far'); # somebody else has it now
my ($saved) = slurp($hold[1]) =~ /^(\{.*\})$/m; # before anybody else could go on
@hold = ();
spew("$data/output/.parts/old", 'x');
spew("$data/output/.parts/new", 'x');
utime 1, time - 41 * 86400, "$data/output/.parts/old";

# ---- cancelled, and failed for good
$job = submit(source => 'sales_q1.csv', destination => 'cancelled.csv', batch_size => 10);
wait_until(30, sub { $tf->sql_value("SELECT count(*) FROM job_logs WHERE job_id = '$job' AND message LIKE 'batch 3:%'") }, 0.1);
$tf->post("/api/v1/jobs/$job/cancel", {});
$job = ended($job);
is($job->{status}, 'CANCELLED', 'cancelled');
ok($job->{result}{status} eq 'cancelled' && $job->{result}{records_written} >= 30, '... with what was done by then') or diag(explain($job));
ok(!-e "$data/output/cancelled.csv" && !glob("$data/output/.parts/$job->{id}*"), '... and nothing left');
# one bad row: then they are inserted one by one
spew("$data/slow.csv", join "\n", 'id', 1 .. 60);
$job = submit(source => 'slow.csv', destination => 'postgresql://wh/shop.slow', on_error => 'skip');
ok(wait_until(60, sub { (warehouse('SELECT last_value FROM shop.seen'))[0][0] >= 3 }), 'rows go into a table');
$tf->post("/api/v1/jobs/$job/cancel", {});
$job = ended($job);
is_deeply([$job->{status}, @{$job->{result}}{qw(records_written records_skipped)}], ['CANCELLED', 0, 1], '... cancelled within a batch: nothing of it counts as written') or diag(explain($job));
is_deeply([warehouse('SELECT count(*) FROM shop.slow')], [[0]], '... and nothing of it is there');
ok(!-e "$data/output/.parts/old" && -e "$data/output/.parts/new", 'what jobs left behind more than 40 days ago is gone');
$job = ended(submit(source => 'sales_q1.csv', destination => 's3://lake/lake/out/never.jsonl', record_count => 6001, batch_size => 1000,
    steps => [{default => {note => 'x' x 2000}}, {cast => {order_id => 'text'}}, {select => ['order_id', 'note']}, {cast => {order_id => 'integer'}}, {limit => 6000}]));
is($job->{status}, 'SUCCESS', 'an upload of two parts') or diag($job->{error});
spew("$data/late.csv", join '', (split /^/, slurp($small))[0 .. 6000], "late,,,,,,,,\n");
$job = ended(submit(source => 'late.csv', destination => 's3://lake/lake/out/late.jsonl', batch_size => 1000, steps => [{default => {note => 'x' x 2000}}, {cast => {order_id => 'integer'}}]));
like($job->{error}, qr/^record 6001 \(line 6002\): column "order_id": "late" is no integer$/, 'a bad record behind a part that was sent');
ok((grep { m{^DELETE /lake/out/late\.jsonl\?uploadId=} } $s3->requests) && !$s3->uploads, '... aborts the upload');

$job = ended($late);
is_deeply([@$job{qw(status attempt)}], ['SUCCESS', 2], 'the job of a run that came too late is run again') or diag(explain($job));
my ($went_on) = map { /^going on behind batch (\d+),/ ? $1 : () } lines($late);
is($went_on, $json->decode($saved)->{batch}, '... from where it stood: the late run has saved nothing');
ok(output('late.csv') eq slurp($small), '... and what it writes is right');

# ---- checkpoints
is_deeply(($tf->sql("SELECT max_retries, retry_base_ms, retry_jitter FROM job_types WHERE type = 'data_pipeline'"))[0], [2, 2000, 'f'], 'tried again twice, after exactly 2 and 4 s');
is($tf->sql_value("SELECT count(*) > 0 FROM job_checkpoints"), 't', 'jobs have left checkpoints');
# not heard while a round is under way
ok(wait_until(60, sub { $tf->sql('NOTIFY tf_upkeep'); $tf->sql_value('SELECT count(*) FROM job_checkpoints') == 0 }, 0.5), '... which upkeep removes once they have ended');

done_testing;
