# Bad input: a clear problem answer or a clear FAILED error, and the server goes on.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start(dataset => 1, settings => {TASKFORGE_LOST_SECONDS => 60});
my $jobs = '/api/v1/jobs';
my @workers = $tf->nginx_workers;

sub refused {
    my ($promise, $status, $body, %o) = @_;
    my $r = $tf->post($o{path} // $jobs, $body, headers => $o{headers} // {});
    ok($r->is_problem($status), "$promise: $status") or diag $r->status, ' ', substr $r->body, 0, 300;
    like($r->body, $o{says}, "$promise: says why") if $o{says};
    is($r->json->{errors}[0]{pointer}, $o{pointer}, "$promise: points at $o{pointer}") if $o{pointer};
    unlike($r->body, qr/SELECT |INSERT |\.c:\d|\/run\/|\/tmp\//, "$promise: nothing of the inside") if $o{says};
    return $r;
}

subtest 'malformed JSON' => sub {
    my %text = (
        'an empty body' => '', 'no JSON' => 'hello', 'a broken object' => '{"type": "noop"', 'a trailing comma' => '{"type":"noop",}',
        'two values' => '{"type":"noop"}{}', 'single quotes' => "{'type':'noop'}", 'a NUL byte' => qq({"type":"no\0op"}),
        'an escaped NUL' => '{"type":"noop","name":"a\u0000b"}', 'a NUL in a payload' => '{"type":"noop","payload":{"a":"\u0000"}}',
        'invalid UTF-8' => qq({"type":"noop","name":"\xff\xfe"}), 'overlong UTF-8' => qq({"type":"noop","name":"\xc0\x80"}),
        'a UTF-8 surrogate' => qq({"type":"noop","name":"\xed\xa0\x80"}), 'a lone \u surrogate' => '{"type":"noop","name":"\ud800"}',
        'a duplicate key' => '{"type":"noop","type":"sleep"}', 'NaN' => '{"type":"noop","priority":NaN}',
        'deep nesting' => '{"type":"noop","payload":' . '{"a":' x 100 . '1' . '}' x 100 . '}',
        'very deep nesting' => '[' x 200_000, 'a number without end' => '{"type":"noop","priority":' . '9' x 400 . '}',
    );
    refused($_, 400, $text{$_}, says => qr/"detail":"/) for sort keys %text;
    refused('a broken batch', 400, '{"jobs":[', path => "$jobs/batch", says => qr/line 1, column/);
};

subtest 'wrong types and values' => sub {
    my @cases = (
        ['type is a number', {type => 5}, '#/type'], ['type is missing', {}, '#/type'], ['type is empty', {type => ''}, '#/type'],
        ['type is unknown', {type => 'nosuch'}, '#/type'], ['payload is an array', {type => 'noop', payload => []}, '#/payload'],
        ['payload is null', {type => 'noop', payload => undef}, '#/payload'], ['queue is a number', {type => 'noop', queue => 1}, '#/queue'],
        ['queue has a blank', {type => 'noop', queue => 'a b'}, '#/queue'], ['queue is long', {type => 'noop', queue => 'q' x 65}, '#/queue'],
        ['queue leaves its key', {type => 'noop', queue => '}:x'}, '#/queue'], ['priority is 11', {type => 'noop', priority => 11}, '#/priority'],
        ['priority is -1', {type => 'noop', priority => -1}, '#/priority'], ['priority is 1.5', {type => 'noop', priority => 1.5}, '#/priority'],
        ['priority is unknown', {type => 'noop', priority => 'urgent'}, '#/priority'], ['priority is true', {type => 'noop', priority => true}, '#/priority'],
        ['max_retries is -1', {type => 'noop', max_retries => -1}, '#/max_retries'], ['max_retries is 101', {type => 'noop', max_retries => 101}, '#/max_retries'],
        ['timeout_seconds is 0', {type => 'noop', timeout_seconds => 0}, '#/timeout_seconds'],
        ['timeout_seconds is a text', {type => 'noop', timeout_seconds => '5'}, '#/timeout_seconds'],
        ['name is an object', {type => 'noop', name => {}}, '#/name'], ['name is long', {type => 'noop', name => 'n' x 201}, '#/name'],
        ['metadata is a text', {type => 'noop', metadata => 'x'}, '#/metadata'], ['metadata has a number', {type => 'noop', metadata => {a => 1}}, '#/metadata'],
        ['metadata has 65 members', {type => 'noop', metadata => {map { $_ => 'x' } 1 .. 65}}, '#/metadata'],
        ['retry is a text', {type => 'noop', retry => 'x'}, '#/retry'], ['retry has a typo', {type => 'noop', retry => {base => 1}}, '#/retry'],
        ['retry.base_seconds is negative', {type => 'noop', retry => {base_seconds => -1}}, '#/retry/base_seconds'],
        ['an unknown field', {type => 'noop', prioritty => 1}, '#'],
    );
    for (@cases) {
        my ($what, $body, $pointer) = @$_;
        my $r = refused($what, 422, $body);
        my ($error) = @{($r->json // {})->{errors} // [{}]};
        like($error->{pointer} // '', qr/^\Q$pointer\E/, "$what: the pointer names the place");
        ok(length($error->{detail} // ''), "$what: the detail says what is wrong");
    }
    my $r = refused('several at once', 422, {type => 7, priority => 99, retry => 1, nonsense => 1});
    is(scalar @{$r->json->{errors}}, 4, 'all errors come in one answer');
    refused('an array', 422, []);
    like($tf->post($jobs, {type => 'nosuch'})->body, qr/noop/, 'an unknown type is answered with the known ones');
};

subtest 'HTTP' => sub {
    refused('no Content-Type', 415, '{"type":"noop"}', headers => {'Content-Type' => undef});
    refused('text/plain', 415, '{"type":"noop"}', headers => {'Content-Type' => 'text/plain'});
    is($tf->post($jobs, '{"type":"noop"}', headers => {'Content-Type' => 'application/json; charset=utf-8'})->status, 202, 'a charset is fine');
    for (['PUT', $jobs], ['DELETE', $jobs], ['PATCH', "$jobs/01939d3e-0000-7000-8000-000000000000"], ['GET', "$jobs/batch/x"],
        ['GET', '/api/v1/nosuch'], ['POST', '/api/v1/'], ['GET', "$jobs/not-a-uuid"], ['GET', "$jobs/01939d3e-0000-7000-8000-00000000000g"],
        ['POST', "$jobs/01939d3e-0000-7000-8000-000000000000/dance"]) {
        my ($method, $path) = @$_;
        my $r = $tf->api->request($method, $path);
        ok($r->is_problem(404) || $r->is_problem(405) || $r->is_problem(400) || $r->is_problem(422), "$method $path is a problem") or diag $r->status, ' ', $r->body;
        ok($r->status != 405 || $r->header('allow'), 'a 405 has Allow');
    }
    is($tf->http->get("$jobs/01939d3e-0000-7000-8000-000000000000%00")->status, 400, 'a NUL in a path is refused by nginx itself');
    is($tf->api->request('PUT', $jobs)->status, 405, "PUT $jobs is 405");
    is($tf->api->request('PUT', $jobs)->header('allow'), 'GET, HEAD, POST, OPTIONS', 'Allow lists what is there');
    my $options = $tf->api->request('OPTIONS', $jobs);
    is($options->status, 204, 'OPTIONS: 204');
    is($options->header('allow'), 'GET, HEAD, POST, OPTIONS', '... with the same Allow');
    ok($tf->api->request('OPTIONS', '/api/v1/nosuch')->is_problem(404), '... where there is something');
    is($tf->get('/api/v1/nosuch')->json->{instance}, '/api/v1/nosuch', 'instance is the path');

    for (['POST', "$jobs/", $jobs], ['GET', "$jobs/?limit=1&q=a%20b", "$jobs?limit=1&q=a%20b"], ['PUT', "$jobs/batch/", "$jobs/batch"], ['GET', "/$jobs/", $jobs]) {
        my ($method, $path, $to) = @$_;
        my $r = $tf->api->request($method, $path);
        is($r->status, 308, "$method $path: a slash too many is a 308");
        is($r->header('location'), $to, '... to where it is right, on this host');
    }
    ok($tf->get('/api/v1/nosuch/')->is_problem(404), 'where there is nothing without the slash either: 404');

    my $gzip = "\x1f\x8b\x08\0\0\0\0\0";
    my $packed = refused('a compressed body', 415, $gzip, headers => {'Content-Encoding' => 'gzip'}, says => qr/Content-Encoding: gzip/);
    is($packed->header('accept-encoding'), 'identity', '... and what would be taken');
    refused('one that does not say so', 400, $gzip, says => qr/line 1, column 1/);
    is($tf->post($jobs, '{"type":"noop"}', headers => {'Content-Encoding' => 'identity'})->status, 202, 'identity is no compression');

    my $huge = $tf->http;
    my $r = $huge->post($jobs, '{"type":"noop","payload":{"x":"' . 'x' x 1_200_000 . '"}}');
    ok($r->is_problem(413), 'a body above 1 MB is 413') or diag $r->status, ' ', substr $r->body, 0, 200;
    ok($tf->http->get($jobs, headers => {'X-Much' => 'x' x 20_000})->is_problem(431), 'headers that are too large are 431');
    my $large = $tf->http->post($jobs, '{"type":"noop","payload":{"x":"' . 'x' x 900_000 . '"}}');
    is($large->status, 202, 'one of 900 KB is accepted');
    is(length $tf->job($large->json->{id})->{payload}{x}, 900_000, 'and kept whole');
};

subtest 'queries' => sub {
    my $id = '01939d3e-0000-7000-8000-000000000000';
    my %wrong = (
        '/jobs' => 'status=DONE&limit=0', "/jobs/$id" => '', "/jobs/$id/logs" => 'limit=0&cursor=x', "/jobs/$id/files" => '', '/workers' => 'status=busy&pool=a%20b&limit=0&cursor=x',
        '/queues' => 'limit=0&cursor=a%20b', '/events' => 'since=x&limit=0', '/stats' => '', '/stats/history' => 'window=year', '/schedules' => 'limit=0&cursor=x',
        "/schedules/$id/ticks" => 'limit=0',
    );
    for my $path (sort keys %wrong) {
        my $r = $tf->get("/api/v1$path?nosuch=1&$wrong{$path}");
        ok($r->is_problem(422), "$path with a query full of errors: 422") or diag $r->status, ' ', $r->body;
        is_deeply([sort map { $_->{parameter} } @{$r->json->{errors}}], [sort 'nosuch', $wrong{$path} =~ /(\w+)=/g], '... which names them all at once');
    }
    my $r = $tf->get("$jobs?limit=1&limit=2&limit=3");
    is_deeply([map { "$_->{parameter} $_->{detail}" } @{$r->json->{errors}}], [('limit is given twice') x 2], 'a parameter that is there several times');
    ok($tf->get("$jobs?q=%zz")->is_problem(400), 'a broken escape: 400');
};

subtest 'chunked and slow' => sub {
    my $http = $tf->http;
    my $text = '{"type":"noop","name":"chunked"}';
    $http->send_raw($http->format_request('POST', $jobs, body => '', headers => {'Transfer-Encoding' => 'chunked', 'Content-Type' => 'application/json'}));
    for my $piece (unpack '(a5)*', $text) {
        $http->send_raw(sprintf "%x\r\n%s\r\n", length $piece, $piece);
        sleep 0.01;
    }
    $http->send_raw("0\r\n\r\n");
    my $r = $http->read_response;
    is($r->status, 202, 'a body in chunks is accepted');
    is($r->json->{name}, 'chunked', 'and read whole');

    my $slow = $http->format_request('POST', $jobs, body => {type => 'noop', name => 'slow'});
    for my $piece (unpack '(a10)*', $slow) {
        $http->send_raw($piece);
        sleep 0.02;
    }
    is($http->read_response->status, 202, 'a request that drips in is accepted');

    my $bad = $tf->http;
    $bad->send_raw("POST $jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    is($bad->read_response->status, 400, 'a broken chunk is 400');

    for my $n (1 .. 20) {
        my $gone = $tf->http;
        my $all = $gone->format_request('POST', $jobs, body => {type => 'noop', name => 'gone'});
        $gone->send_raw($n % 2 ? $all : substr $all, 0, -5);
        $gone->close;
    }
    is($tf->get('/livez')->status, 200, 'clients that hang up in the middle harm nobody');
};

subtest 'garbage' => sub {
    for my $bytes ("\0" x 100, "\x16\x03\x01\x02\x00\x01\x00", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET $jobs HTTP/1.1\r\n\r\n",
        "GET $jobs HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "POST $jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "POST $jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /" . 'a' x 40_000 . " HTTP/1.1\r\nHost: x\r\n\r\n", join('', map { chr(1 + ($_ * 7919) % 255) } 1 .. 500) . "\r\n\r\n") {
        my $http = $tf->http(timeout => 20);
        my $r = eval { $http->send_raw($bytes); $http->read_response };
        my $status = $r ? $r->status : $@ || 'closed';
        ok(!$r || $r->is_problem($status), 'what nginx itself refuses is a problem too') or diag $r->status, ' ', $r->header('content-type');
        like($status, qr/^(4\d\d|505|closed|.*(?:not HTTP|connection closed|reset))/i, 'garbage is refused or the connection closed: ' . substr $status, 0, 30);
    }
    is($tf->get('/livez')->status, 200, 'the server goes on');
    is(join(' ', $tf->nginx_workers), "@workers", 'with the same processes');
};

subtest 'CSV files' => sub {
    my %file = (
        'empty.csv' => '', 'ragged.csv' => "a,b\n1,2\n3\n", 'quote.csv' => qq(a,b\n1,"2\n3,4\n), 'nul.csv' => "a,b\n1,\0\n",
        'utf8.csv' => "a,b\n1,\xff\n", 'twice.csv' => "a,a\n1,2\n",
    );
    for my $name (keys %file) {
        TaskForge::Files::spew("$tf->{home}/data/$name", $file{$name});
    }
    mkdir "$tf->{home}/data/folder.csv";
    symlink '/etc/passwd', "$tf->{home}/data/link.csv";
    my %ids = map { $_ => $tf->submit({type => 'data_processing', payload => {dataset => $_}})->{id} } keys %file, 'missing', 'folder.csv', 'link.csv',
        '../../../etc/passwd', '/etc/passwd';
    for my $name (sort keys %ids) {
        my $job = $tf->wait_for_end($ids{$name});
        is($job->{status}, 'FAILED', "dataset '$name' fails for good");
        ok(length($job->{error} // ''), 'with an error: ' . ($job->{error} // ''));
        unlike($job->{error} // '', qr/\Q$tf->{home}\E/, 'that does not tell where the files are');
        is($job->{attempt}, 1, 'and is not tried again');
        like($job->{error}, qr/line [23]/, 'the line is named') if $name =~ /^(ragged|quote|nul|utf8)/;
    }
    my $job = $tf->wait_for_end($tf->submit({type => 'data_processing', payload => {dataset => 'sales_q1', group_by => 'nosuch'}})->{id});
    is($job->{status}, 'FAILED', 'a column that is not there fails: ' . ($job->{error} // ''));
};

sub errors { my ($r) = @_; return {map { $_->{pointer} => $_->{detail} } @{$r->json->{errors}}} }

subtest 'payloads against the schema of their type' => sub {
    for (
        [{dataset => 5}, '#/payload/dataset', 'must be a string'],
        [{}, '#/payload/dataset', 'is required'],
        [undef, '#/payload/dataset', 'is required'],
        [{dataset => ''}, '#/payload/dataset', 'must have at least 1 characters'],
        [{dataset => 'sales_q1', operation => 'explode'}, '#/payload/operation', 'must be one of ["aggregate","group","filter","sort","dedupe","describe","join","sql"]'],
        [{dataset => 'sales_q1', rows => 0}, '#/payload/rows', 'must be at least 1'],
        [{dataset => 'sales_q1', colums => []}, '#/payload/colums', 'unknown field "colums"'],
        [{dataset => 'sales_q1', columns => ['units', 7]}, '#/payload/columns/1', 'must be a string'],
    ) {
        my ($payload, $pointer, $detail) = @$_;
        my $r = refused("not $detail", 422, {type => 'data_processing', $payload ? (payload => $payload) : ()});
        is_deeply(errors($r), {$pointer => $detail}, "$pointer $detail");
    }
    my $r = refused('a bad payload of a bad job', 422, {type => 'data_processing', priority => 11, payload => {rows => 1.5}});
    is_deeply([sort keys %{errors($r)}], ['#/payload/dataset', '#/payload/rows', '#/priority'], 'all errors at once');
    $r = refused('a payload of many errors', 422, {type => 'sleep', payload => {seconds => 0, map { ("x$_" => 1) } 1 .. 100}});
    is(scalar @{$r->json->{errors}}, 32, 'but not more than 32 of a payload');

    my $nap = {type => 'sleep', payload => {seconds => 0}};
    $r = $tf->post("$jobs/batch", {jobs => [$nap, {type => 'sleep', payload => {seconds => 'x'}}, $nap]});
    is_deeply([@{$r->json}{qw(accepted rejected)}], [2, 1], 'of a batch the others are accepted');
    is_deeply($r->json->{items}[1]{problem}{errors}, [{pointer => '#/jobs/1/payload/seconds', detail => 'must be a number'}], '... and the pointer says which is not');
    refused('an atomic batch', 422, {atomic => true, jobs => [$nap, {type => 'sleep'}]}, path => "$jobs/batch", pointer => '#/jobs/1/payload/seconds');
    refused('a schedule', 422, {name => 'n', cron => '@daily', job => {type => 'sleep', payload => {seconds => -1}}}, path => '/api/v1/schedules',
        pointer => '#/job/payload/seconds');

    # as workers of another version may leave it
    $tf->sql("INSERT INTO job_types VALUES ('strange', '', '{\"pattern\": 1}', 3, 60, 1000, 1000, false, now()),
        ('strict', '', '{\"maxProperties\": 1}', 3, 60, 1000, 1000, false, now())");
    is($tf->post($jobs, {type => 'strange', payload => {a => 1}, queue => 'nobody'})->status, 202, 'a schema that cannot be used refuses nothing');
    like(TaskForge::Files::slurp("$tf->{home}/log/nginx-error.log"), qr{type "strange" are not checked: its schema: #/pattern: is not a keyword}, '... and the log says so');
    refused('a type of its own', 422, {type => 'strict', payload => {a => 1, b => 2}}, pointer => '#/payload');
    $tf->sql(q(UPDATE job_types SET payload_schema = '{"maxProperties": 2}' WHERE type = 'strict'));
    ok(wait_until(30, sub { $tf->post($jobs, {type => 'strict', payload => {a => 1, b => 2}, queue => 'nobody'})->status == 202 }), 'a schema may change');
};

is($tf->wait_for_end($tf->submit({type => 'noop'})->{id})->{status}, 'SUCCESS', 'after all of this a good job still runs');

done_testing;
