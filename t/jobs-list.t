# GET /jobs: newest first, filtered, walked page by page with a cursor that misses nothing and repeats nothing.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Rows;

my $tf = TaskForge->start;

sub list {
    my ($query) = @_;
    my $r = $tf->get("/api/v1/jobs$query");
    die "list $query: " . $r->status . ' ' . $r->body . "\n" unless $r->status == 200;
    return $r->json;
}

sub names { my ($query) = @_; return join ' ', map { $_->{name} } @{list($query)->{items}} }

# Every id of a walk over all pages; $between runs after each page.
sub walk {
    my ($query, $between) = @_;
    my ($cursor, @ids);
    for (1 .. 1000) {
        my $page = list($query . (defined $cursor ? "&cursor=$cursor" : ''));
        push @ids, map { $_->{id} } @{$page->{items}};
        $between->() if $between;
        $cursor = $page->{next_cursor} // return @ids;
    }
    die "the walk does not end\n";
}

is_deeply(list('')->{items}, [], 'an empty list is a list');
is(list('')->{next_cursor}, undef, 'without a next page');

$tf->submit({type => 'noop', name => "alpha$_", queue => 'default'}) for 1 .. 3;
$tf->submit({type => 'sleep', payload => {seconds => 0}, name => 'beta', priority => 'high'});
my $failed = $tf->submit({type => 'data_processing', payload => {dataset => 'missing'}, name => 'gamma'});
my $elsewhere = $tf->submit({type => 'noop', name => 'delta', queue => 'nobody-works-here'});
$tf->submit({type => 'noop', name => 'epsilon 100%_sure', delay_seconds => 3600});
ok(wait_until(60, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE status IN ('SUCCESS', 'FAILED')") == 5 }), 'seven jobs, five of them ended');

is(names(''), 'epsilon 100%_sure delta gamma beta alpha3 alpha2 alpha1', 'the newest come first');
is(names('?status=FAILED'), 'gamma', 'status filters');
is(names('?status=FAILED,SCHEDULED'), 'epsilon 100%_sure gamma', 'several statuses are one filter');
is(names('?type=noop'), 'epsilon 100%_sure delta alpha3 alpha2 alpha1', 'type filters');
is(names('?priority=high'), 'beta', 'priority filters by name');
is(names('?priority=8'), 'beta', 'and by number');
is(names('?queue=nobody-works-here'), 'delta', 'queue filters');
is(names('?type=noop&status=SUCCESS'), 'alpha3 alpha2 alpha1', 'filters combine');
is(names('?q=ALPHA'), 'alpha3 alpha2 alpha1', 'q finds names, in any case');
is(names('?q=100%25_'), 'epsilon 100%_sure', 'percent and underscore in q are what they are');
is(names('?q=0%25'), 'epsilon 100%_sure', 'and no wildcards');
is(names('?q=a%25a'), '', 'at all');
is(names("?created_before=$failed->{created_at}"), 'beta alpha3 alpha2 alpha1', 'created_before is exclusive');
is(names("?created_after=$elsewhere->{created_at}"), 'epsilon 100%_sure delta', 'created_after is inclusive');
is(names('?limit=2'), 'epsilon 100%_sure delta', 'limit bounds a page');
is(list('?limit=2&count=exact')->{total}, 7, 'count=exact counts all');
is(list('?limit=2')->{total}, undef, 'nobody counts who was not asked');

my @all = map { $_->[0] } $tf->sql('SELECT id FROM jobs ORDER BY id DESC');
is_deeply([walk('?limit=2')], \@all, 'walking by two shows every job once, in order');
is_deeply([walk('?limit=7')], \@all, 'so does a page that fits exactly');
is_deeply([walk('?type=noop&limit=1')], [map { $_->[0] } $tf->sql("SELECT id FROM jobs WHERE type = 'noop' ORDER BY id DESC")],
    'and a walk with a filter');

$tf->submit_batch(map { {type => 'noop', name => "bulk$_"} } 1 .. 500);
my @before = map { $_->[0] } $tf->sql('SELECT id FROM jobs ORDER BY id DESC');
my @seen = walk('?limit=37', sub { $tf->submit_batch(map { {type => 'noop', name => 'late'} } 1 .. 5) });
is_deeply(\@seen, \@before, 'a walk shows all rows once although new ones arrive');

# What no index knows is searched for a part of the table at a time: behind the newest jobs with what job_ranges says.
$tf->stop_part('scheduler'); # it would make ranges of its own
$tf->sql("DELETE FROM job_ranges");
my $user = '0195d2a0-0000-7000-8000-00000000abcd';
$tf->insert_jobs(1500, status => "'SUCCESS'", created_at => "now() - interval '2 hours'", name => "CASE WHEN g % 2 = 0 THEN 'Report ' || g END");
$tf->insert_jobs(1, status => "'DEAD_LETTER'", created_at => "now() - interval '100 minutes'", name => "'Ärger mit REPORT 77%'",
    queue => "'seldom'", priority => 10, created_by => "'$user'", type => "'sleep'");
$tf->insert_jobs(1000, status => "'SUCCESS'", created_at => "now() - interval '90 minutes'", name => "'nightly'");
$tf->insert_jobs(10500, status => "'SUCCESS'", created_at => "now() - interval '80 minutes'", type => "'noop'", queue => "'elsewhere'");
my %searches = ( # and the same in SQL
    'q=report%2077' => "name ILIKE '%report 77%'",
    'q=rt%2077%25' => "name ILIKE '%rt 77\\%%'",
    'q=%C3%A4rger' => "name LIKE 'Ärger%'",
    'q=nobody' => 'false',
    'q=nightly' => "name = 'nightly'",
    'q=g' => "name ILIKE '%g%'",
    'q=r&type=sleep' => "name ILIKE '%r%' AND type = 'sleep'",
    'q=report&status=DEAD_LETTER' => "name ILIKE '%report%' AND status = 'DEAD_LETTER'",
    'q=report&status=SUCCESS,DEAD_LETTER' => "name ILIKE '%report%'",
    'queue=seldom' => "queue = 'seldom'",
    'priority=critical' => 'priority > 8',
    "created_by=$user" => "created_by = '$user'",
    "created_by=$user&q=xyz" => 'false',
    'queue=default&priority=normal&type=noop' => "queue = 'default' AND priority BETWEEN 4 AND 6 AND type = 'noop'",
);
sub searches {
    my ($when) = @_;
    my @wrong = grep {
        my @ids = walk("?limit=500&$_");
        my @right = map { $_->[0] } $tf->sql("SELECT id FROM jobs WHERE $searches{$_} ORDER BY id DESC");
        "@ids" ne "@right";
    } sort keys %searches;
    is("@wrong", '', "every search finds all there is, once and in order, $when");
    return;
}
sub gather { my ($size) = @_; 1 while $tf->sql_value("SELECT gather_job_ranges($size, interval '1 hour')"); return }

searches('when nothing was gathered yet');
my $page = list('?q=nobody');
ok($page->{next_cursor} && !@{$page->{items}}, 'a request looks at so many jobs and no more: it may find none and have a next page');
gather(1000);
is($tf->sql_value('SELECT count(*) FROM job_ranges'), 13, 'ranges of a thousand jobs, behind the newest');
is($tf->sql_value('SELECT sum(jobs) FROM job_ranges'), 13000, '... with every job in one of them');
searches('in what was gathered, and before it');
is(list('?q=nobody')->{next_cursor}, undef, 'where names were gathered, no job without the name is looked at');
is(list('?q=77%25')->{items}[0]{queue}, 'seldom', 'a rare name is on the first page, however old');
is(names('?q=77%25&created_before=' . $tf->sql_value("SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM jobs WHERE queue = 'seldom'")),
    '', '... unless it is not of that time');
my ($late) = $tf->insert_jobs(1, status => "'SUCCESS'", created_at => "now() - interval '99 minutes'", name => "'came late'");
$tf->sql('UPDATE job_ranges SET young = true');
gather(1000);
is(names('?q=late&created_before=' . $tf->sql_value("SELECT to_char(now() - interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")), 'came late',
    'a job that was committed behind its range is found when that is gathered again');
$tf->sql("DELETE FROM jobs WHERE created_at < (SELECT min(created_at) FROM jobs WHERE queue = 'elsewhere')");
is($tf->sql_value('SELECT forget_job_ranges()'), 2, 'ranges without jobs are forgotten');
is($tf->sql_value('SELECT count(*) FROM job_ranges'), 11, '... and no others');
searches('when some are gone');
$tf->start_part('scheduler');
$tf->sql('DELETE FROM job_ranges');
ok(wait_until(60, sub { $tf->sql_value('SELECT count(*) FROM job_ranges WHERE NOT young') }), 'the scheduler gathers them');

for my $bad (qw(status=DONE status= priority=11 priority=urgent queue=a%20b limit=0 limit=100000 limit=x cursor=x cursor=%00 created_after=yesterday
    count=about nosuch=1 q=%ff status=FAILED%00)) {
    my $r = $tf->get("/api/v1/jobs?$bad");
    ok($r->is_problem(422), "?$bad is a problem") or diag $r->status, ' ', $r->body;
}

done_testing;
