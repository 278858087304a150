# GET /jobs: newest first, filtered, walked page by page with a cursor that misses nothing and repeats nothing.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

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
ok(wait_until(20, sub { $tf->sql_value("SELECT count(*) FROM jobs WHERE status IN ('SUCCESS', 'FAILED')") == 5 }), 'seven jobs, five of them ended');

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

for my $bad (qw(status=DONE status= priority=11 priority=urgent queue=a%20b limit=0 limit=100000 limit=x cursor=x cursor=%00 created_after=yesterday
    count=about nosuch=1 q=%ff status=FAILED%00)) {
    my $r = $tf->get("/api/v1/jobs?$bad");
    ok($r->is_problem(422) || $r->is_problem(400), "?$bad is a problem") or diag $r->status, ' ', $r->body;
}

done_testing;
