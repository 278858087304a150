# Files of a job: what a handler stores can be downloaded, and goes with its job.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(slurp spew);
use Digest::SHA qw(sha256_hex);

my $limit = 12 * 1024 * 1024;
my $tf = TaskForge->start(handlers => 1, settings => {TASKFORGE_FILES_MAX_BYTES => $limit});

sub make { return $tf->submit({type => 'test_files', payload => {@_}})->{id} }
sub made { my $id = make(@_); my $job = $tf->wait_for_end($id, 60); is($job->{status}, 'SUCCESS', 'a job stores files') or diag $job->{error}; return $id }
sub rows { my ($table, $id) = @_; return $tf->sql_value("SELECT count(*) FROM $table WHERE job_id = '$id'") }

# ---- what a handler may store ----
my $id = made(files => [{name => 'a.txt', text => 'alpha'}, {name => 'big.bin', content_type => 'application/octet-stream', bytes => 1_000_000}]);
is(rows('job_files', $id), 2, 'there are as many as it stored');
is(rows('job_file_chunks', $id), 1 + 4, '... in pieces of 256 KiB');
is($tf->sql_value("SELECT count(*) FROM job_files f WHERE job_id = '$id' AND sha256 = (SELECT sha256(string_agg(data, '' ORDER BY seq)) "
    . "FROM job_file_chunks c WHERE c.job_id = f.job_id AND c.file = f.id) AND size = (SELECT sum(length(data)) FROM job_file_chunks c "
    . 'WHERE c.job_id = f.job_id AND c.file = f.id)'), 2, '... whose size and SHA-256 are kept beside them');

my %refused = (
    'more than its bytes' => [[{name => 'x', bytes => $limit + 1}], qr/^x: the files of a job have at most $limit bytes/],
    'more in all files'   => [[{name => 'x', bytes => $limit - 10}, {name => 'y', bytes => 11}], qr/^y: the files of a job have at most/],
    'too many'            => [[map { {name => "n$_", text => 'x'} } 1 .. 17], qr/^n17: a job has at most 16 files/],
    'a path'              => [[{name => 'a/b'}], qr/^a file's name has 1 to 128 letters/],
    'a hidden name'       => [[{name => '.a'}], qr/^a file's name has/],
    'no name'             => [[{name => ''}], qr/^a file's name has/],
    'a long name'         => [[{name => 'x' x 129}], qr/^a file's name has/],
    'a type of two lines' => [[{name => 'x', content_type => "text/plain\r\nA: b"}], qr/^x: its content type/],
);
my %jobs = map { $_ => make(files => $refused{$_}[0]) } sort keys %refused;
for my $what (sort keys %refused) {
    my $job = $tf->wait_for_end($jobs{$what}, 60);
    like($job->{error}, $refused{$what}[1], "refused: $what");
}
is(rows('job_file_chunks', $jobs{'more in all files'}), $limit / 262144, 'nothing stays of a file that was refused');

# ---- one of the same name ----
$id = made(files => [{name => 'a.txt', text => 'first', bytes => 300_000}, {name => 'a.txt', text => 'second'}]);
is_deeply($tf->sql("SELECT convert_from(data, 'UTF8') FROM job_file_chunks WHERE job_id = '$id'"), ['second'], 'a file of the same name takes its place');
$id = made(files => [{name => 'a.txt', text => 'x'}, {name => 'b.txt', text => 'y'}], fail => true);
is($tf->sql_value("SELECT string_agg(name || attempt, ' ' ORDER BY name) FROM job_files WHERE job_id = '$id'"), 'a.txt2 b.txt2', '... that of an earlier attempt too');

# ---- a run that comes too late ----
$id = make(hold => true, files => [{name => 'late', text => 'x'}]);
$tf->wait_for_status($id, 'RUNNING');
$tf->sql("UPDATE jobs SET attempt = 2 WHERE id = '$id'");
spew("$tf->{home}/data/go", '');
ok(wait_until(60, sub { $tf->sql_value("SELECT message FROM job_logs WHERE job_id = '$id'") }), 'a run whose job was given to another');
is(rows('job_files', $id) + rows('job_file_chunks', $id), 0, '... stores nothing');

# ---- the list ----
$id = made(files => [{name => 'Report-1_a.pdf', content_type => 'application/pdf', bytes => 1_000_000, text => '%PDF'},
    {name => 'page.html', content_type => 'text/html; charset=utf-8', text => '<script>alert(1)</script>'},
    {name => 'odd', content_type => 'application/x-msdownload', text => 'MZ'}, {name => 'empty.txt'}]);
my $base = "/api/v1/jobs/$id/files";
my $r = $tf->get($base);
is($r->status, 200, 'the files of a job are listed');
is_deeply([map { $_->{name} } @{$r->json->{items}}], [qw(Report-1_a.pdf empty.txt odd page.html)], '... by name');
my ($pdf) = @{$r->json->{items}};
is_deeply([@$pdf{qw(content_type size url)}], ['application/pdf', 1_000_000, "$base/Report-1_a.pdf"], '... with type, size and URL');
like($pdf->{created_at}, qr/^\d{4}-\d\d-\d\dT.*Z$/, '... and the time');
is_deeply($tf->get('/api/v1/jobs/' . $tf->submit({type => 'noop'})->{id} . '/files')->json, {items => []}, 'a job may have none');
ok($tf->get('/api/v1/jobs/01939d3e-0000-7000-8000-000000000000/files')->is_problem(404), 'a job that is not there is 404');

# ---- download ----
$r = $tf->get($pdf->{url});
is($r->status, 200, 'a file can be downloaded');
my $whole = $r->body;
is(sha256_hex($whole), $pdf->{sha256}, '... as it was stored');
is($r->header('etag'), qq("$pdf->{sha256}"), '... ETag is its SHA-256');
is_deeply([map { $r->header($_) } qw(content-type content-length accept-ranges x-content-type-options content-disposition cache-control)],
    ['application/pdf', 1_000_000, 'bytes', 'nosniff', 'attachment; filename="Report-1_a.pdf"', 'private, no-cache'], '... with its headers');
my $head = $tf->api->request('HEAD', $pdf->{url});
is_deeply([$head->status, $head->body, $head->header('content-length')], [200, '', 1_000_000], 'HEAD says the same without it');
$r = $tf->get("$base/page.html");
is_deeply([$r->header('content-type'), $r->body], ['text/html; charset=utf-8', '<script>alert(1)</script>'], 'a page is handed out');
like($r->header('content-disposition'), qr/^attachment/, '... to be saved');
like($r->header('content-security-policy'), qr/^sandbox; default-src 'none'/, '... and runs nothing');
is($tf->get("$base/odd")->header('content-type'), 'application/octet-stream', 'a type that is not known to be harmless is only bytes');
$r = $tf->get("$base/empty.txt");
is_deeply([$r->status, $r->body, $r->header('content-length')], [200, '', 0], 'an empty file is empty');
ok($tf->get("$base/$_")->is_problem(404), "no such file: $_") for qw(missing ..%2f..%2fetc%2fpasswd .hidden), 'x' x 129;
my $post = $tf->post($pdf->{url}, {});
ok($post->is_problem(405), 'a file cannot be posted to');
is($post->header('allow'), 'GET, HEAD, OPTIONS', '... Allow says what can be done');
is($tf->get("$pdf->{url}?x=1")->status, 422, 'unknown query parameters are refused');

# ---- conditions and ranges ----
sub ask { my (%headers) = @_; return $tf->api->get($pdf->{url}, headers => \%headers) }
is(ask('If-None-Match' => qq("$pdf->{sha256}"))->status, 304, 'If-None-Match: 304 while it is the same');
is(ask('If-None-Match' => '"other"')->status, 200, '... 200 when it is another');
my @range = (
    ['0-0', 0, 1], ['0-99', 0, 100], ['65530-65545', 65530, 16], ['262140-262150', 262140, 11], ['500000-', 500_000, 500_000],
    ['-5', 999_995, 5], ['-2000000', 0, 1_000_000], ['999999-5000000', 999_999, 1]);
for my $range (@range) {
    my ($text, $from, $n) = @$range;
    my $part = ask(Range => "bytes=$text");
    is_deeply([$part->status, $part->header('content-range'), $part->header('content-length'), $part->body eq substr($whole, $from, $n)],
        [206, sprintf('bytes %d-%d/1000000', $from, $from + $n - 1), $n, 1], "Range $text");
}
is(ask(Range => "bytes=5-9", 'If-Range' => qq("$pdf->{sha256}"))->status, 206, 'If-Range: the same file');
ok(ask(Range => "bytes=5-9", 'If-Range' => '"other"')->body eq $whole, '... another one is sent whole');
ok(ask(Range => $_)->body eq $whole, "$_ is not honoured") for 'bytes=0-1,4-5', 'lines=1-2', 'bytes=';
my $none = ask(Range => 'bytes=1000000-');
ok($none->is_problem(416), 'a range behind the end is 416');
is($none->header('content-range'), 'bytes */1000000', '... with the length');

# ---- large files: slow readers, readers that leave, memory ----
$id = made(files => [{name => 'large', content_type => 'application/octet-stream', bytes => $limit}]);
my $url = "/api/v1/jobs/$id/files/large";
my $sum = $tf->get("/api/v1/jobs/$id/files")->json->{items}[0]{sha256};
is(sha256_hex($tf->http(timeout => 60)->get($url)->body), $sum, 'a file of many pieces comes whole');
sub memory { my $sum = 0; for ($tf->nginx_workers) { slurp("/proc/$_/status") =~ /^RssAnon:\s+(\d+)/m and $sum += $1 } return $sum }
my $before = memory();
my @slow = map { $tf->http(timeout => 60) } 1 .. 40;
$_->send_raw($_->format_request('GET', $url)) for @slow;
# each has filled the buffers of its socket, and reads no further
ok(wait_until(60, sub { my $n = 0; for (@slow) { IO::Select->new($_->{socket})->can_read(0) and $n++ } $n == @slow }), 'forty readers at once, who take nothing');
ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid()") == 0 }),
    '... nothing more is read for them');
my $more = memory() - $before;
# the sanitizer keeps what was freed
cmp_ok($more, '<', ($TaskForge::Stack::SANITIZED ? 400 : 20) * 1024, "... which takes ${more} KB for 480 MB");
$_->close for @slow[1 .. $#slow];
is(sha256_hex($slow[0]->read_response->body), $sum, 'one of them goes on after all, the others leave');
is($tf->get('/livez')->status, 200, '... and nobody notices');

# replaced while it is read, and the database gone: the answer ends early, and says so by its length
sub begin_reading {
    my $http = $tf->http(timeout => 30);
    $http->send_raw($http->format_request('GET', $url));
    wait_until(30, sub { IO::Select->new($http->{socket})->can_read(0) });
    return $http;
}
$tf->expect_log(qr/a file ends early/);
my $cut = begin_reading();
is($tf->api->delete("/api/v1/jobs/$id")->status, 204, 'a file is deleted while it is read');
ok(!eval { $cut->read_response }, '... its reader is cut off');
like($@, qr/closed in the middle/, '... and sees that');
$id = made(files => [{name => 'large', content_type => 'application/octet-stream', bytes => $limit}]);
$url = "/api/v1/jobs/$id/files/large";
$cut = begin_reading();
$tf->part('postgres')->stop(10, 'QUIT'); # and stays away, or nginx might have new ones before the next piece is asked for
my $rest = eval { $cut->read_response };
ok(!$rest && $@ =~ /closed in the middle/, 'the same when the connections to the database are lost') or diag $rest ? length $rest->body : $@;
$tf->start_part('postgres');
# the process of our connection too, and what it writes with
ok(wait_until(60, sub { $tf->post('/api/v1/jobs', {type => 'noop'})->status == 202 && $tf->http->get($url)->status == 200 }), '... after which files can be downloaded again');

# ---- with the job ----
my @ids = map { made(files => [{name => 'a.txt', text => 'alpha', bytes => 300_000}]) } 1 .. 4;
my ($gone, @many) = @ids;
my $stays = pop @many;
is($tf->api->delete("/api/v1/jobs/$gone")->status, 204, 'a job with files can be deleted');
my $bulk = $tf->post('/api/v1/jobs/actions', {action => 'delete', filter => {ids => \@many}})->json->{id};
is($tf->wait_for_end($bulk)->{status}, 'SUCCESS', '... and many of them at once');
is(rows('job_files', $_) + rows('job_file_chunks', $_), 0, '... and their files are gone') for $gone, @many;
is(rows('job_files', $stays) + rows('job_file_chunks', $stays), 3, 'those of other jobs stay');

done_testing;
