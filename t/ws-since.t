# GET /events: what a client missed.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Events qw(numbers);

my $tf = TaskForge->start(parts => [qw(redis nchan nginx)]);
my $events = TaskForge::Events->new($tf);

sub page { my $r = $tf->get("/api/v1/events$_[0]"); die $r->status . $r->body unless $r->status == 200; return $r->json }

# each worker process connects to Redis by itself, and says 503 until it has
wait_until(30, sub { $tf->get('/api/v1/events')->status == 200 });
my $none = page('');
is_deeply($none, {items => [], next_since => undef, truncated => false}, 'no events yet');

my $ws = $tf->subscribe;
$events->add(3, 1);
$events->add(2, 4);
my @live = $ws->events_until(30, sub { $_[0]{job}{n} == $events->last });
my $all = page('');
is_deeply($all->{items}, \@live, 'items are the events as subscribers got them');
is($all->{next_since}, $live[-1]{seq}, 'next_since is the last one\'s seq');
is($all->{truncated}, false, 'nothing is missing');
for my $i (0 .. $#live) {
    is_deeply([numbers(@{page("?since=$live[$i]{seq}")->{items}})], [$i + 2 .. @live], "since event $i: those after it");
}
my $empty = page("?since=$live[-1]{seq}");
is_deeply([$empty->{items}, $empty->{next_since}], [[], $live[-1]{seq}], 'nothing new: next_since stays');

$events->add(150, 1);
$events->add(10, 32);
my ($since, @pages, @n) = ($live[-1]{seq});
while (1) {
    my $page = page("?limit=100&since=$since");
    last unless @{$page->{items}};
    push @pages, scalar @{$page->{items}};
    push @n, numbers(@{$page->{items}});
    $since = $page->{next_since};
}
is_deeply(\@n, [12 .. $events->last], 'page by page: all, once, in order');
is(join(' ', @pages), '100 100 100 100 70', 'pages of the given size');
is(scalar @{page('')->{items}}, 481, 'the default limit is 500');

$events->add(300, 32);
is(scalar @{page('')->{items}}, 500, 'which cuts');
is(scalar @{page('?limit=5000')->{items}}, 5000, 'at most 5000 are given');

my $old = page('?since=1-0-0&limit=1');
is($old->{truncated}, true, 'since an event that is forgotten: truncated');
is(numbers(@{$old->{items}}), 1, 'then what there is');
is(page('?since=99999999999999-0-0')->{items}[0], undef, 'since a time to come: nothing');
$tf->redis('DEL', 'tf:events');
my $flushed = page("?since=$since");
is_deeply([$flushed->{truncated}, $flushed->{items}], [true, []], 'Redis forgot everything: truncated');

for my $bad ('', 'x', '1', '1-2', '1-2-', '-1-2', '1-2-3-4', '1-2-x', '99999999999999999999-0-0', '1-2-3%00', '%2D1-2-3', '1--3') {
    my $r = $tf->get("/api/v1/events?since=$bad");
    ok($r->is_problem(422), "since=$bad is refused");
}
for my $bad (0, -1, 5001, 'x', '1e3', '') {
    my $r = $tf->get("/api/v1/events?limit=$bad");
    ok($r->is_problem(422), "limit=$bad is refused");
}
ok($tf->post('/api/v1/events', {})->is_problem(405), 'POST is 405');

$tf->kill_part('redis');
my $r = $tf->get('/api/v1/events');
ok($r->is_problem(503), 'Redis is down: 503');
ok($r->header('Retry-After'), 'with Retry-After');

$ws->close;

done_testing;
