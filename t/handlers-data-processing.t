# data_processing over HTTP: its numbers are those that Perl and SQLite get from the same file.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

my $tf = TaskForge->start(dataset => 1);
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

SKIP: {
    my ($sqlite) = grep { -x } map { "$_/sqlite3" } split /:/, $ENV{PATH};
    skip 'sqlite3 is not installed', 1 unless $sqlite;
    open my $out, '-|', $sqlite, ':memory:', '-cmd', '.mode csv', '-cmd', ".import '$file' s",
        'SELECT count(*), sum(revenue), min(0+revenue), max(0+revenue), avg(units) FROM s' or die "sqlite3: $!";
    my ($count, $sum, $min, $max, $mean_units) = split /,/, <$out>;
    close $out;
    my ($r, $u) = @{$all->{columns}}{qw(revenue units)};
    ok($r->{count} == $count && abs($r->{sum} - $sum) < 1e-9 * $sum && $r->{min} == $min && $r->{max} == $max
            && abs($u->{mean} - $mean_units) < 1e-9, 'SQLite agrees');
}

# What cannot work fails at once, and says why.
my $root_only = "$tf->{home}/data/closed.csv";
TaskForge::Files::spew("$tf->{home}/data/ragged.csv", "a,b\n1,2\n3\n");
TaskForge::Files::spew($root_only, "a\n1\n");
chmod 0000, $root_only;
my @failures = (
    [{dataset => 'sales_q9'},                        qr/^sales_q9\.csv: no such file/],
    [{dataset => '../conf/taskforge.env'},           qr/^\.\.\/conf\/taskforge\.env: leads out of the data directory$/],
    [{dataset => 'ragged'},                          qr/^ragged\.csv: line 3: 1 field where the first line has 2$/],
    [{dataset => 'sales_q1', group_by => 'colour'},  qr/^sales_q1\.csv: there is no column "colour"$/],
);
my ($worker_uid) = TaskForge::Process::unprivileged();
push @failures, [{dataset => 'closed'}, qr/^closed\.csv: Permission denied$/] if defined $worker_uid || $> != 0;
for my $case (@failures) {
    my ($payload, $error) = @$case;
    my $job = $tf->wait_for_end($tf->submit({type => 'data_processing', payload => $payload})->{id});
    is($job->{status}, 'FAILED', "FAILED: $error");
    is($job->{attempt}, 1, 'after one attempt');
    like($job->{error}, $error, 'error says why');
}

done_testing;
