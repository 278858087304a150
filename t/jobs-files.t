# Files of a job: what a handler stores can be downloaded, and goes with its job.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(spew);

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
