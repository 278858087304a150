# The main job: POST a data_processing job, a worker reads the CSV, the result is what an independent computation gives.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;

use List::Util qw(sum min max);

my $tf = TaskForge->start(dataset => 1);

# RFC 4180, as far as the generator goes: fields may be quoted, none holds a line break
sub fields {
    my ($line) = @_;
    $line =~ s/\r?\n\z//;
    my @fields;
    while ($line =~ /\G(?:"((?:[^"]|"")*)"|([^",]*))(,|\z)/g) {
        push @fields, defined $1 ? $1 =~ s/""/"/gr : $2;
        last if $3 eq '';
    }
    return \@fields;
}

open my $in, '<', "$tf->{home}/data/sales_q1.csv" or die $!;
my @columns = @{fields(scalar <$in>)};
my @rows = map { fields($_) } <$in>;
close $in;
is(scalar @rows, 50000, 'sales_q1 has 50,000 rows');
ok(!grep({ @$_ != @columns } @rows), 'of one shape');

my %at = map { $columns[$_] => $_ } 0 .. $#columns;

sub aggregate {
    my @v = sort { $a <=> $b } @_;
    my $n = @v;
    my $mean = sum(@v) / $n;
    return {
        count => $n, sum => sum(@v), mean => $mean, min => $v[0], max => $v[-1],
        stddev => $n > 1 ? sqrt(sum(map { ($_ - $mean)**2 } @v) / ($n - 1)) : undef,
        median => $n % 2 ? $v[$n / 2] : ($v[$n / 2 - 1] + $v[$n / 2]) / 2,
    };
}

sub close_to {
    my ($got, $want) = @_;
    return !defined $got && !defined $want || defined $got && defined $want && abs($got - $want) <= 1e-9 * max(1, abs $want);
}

sub same {
    my ($promise, $got, $want) = @_;
    my @bad = grep { !close_to($got->{$_}, $want->{$_}) } sort keys %$want;
    return ok(!@bad, $promise) || diag map { "$_: got " . ($got->{$_} // 'nothing') . ", independent $want->{$_}\n" } @bad;
}

sub numeric { return grep { my $c = $at{$_}; !grep { $_->[$c] !~ /^-?\d+(\.\d+)?$/ } @rows[0 .. 99] } @columns }

my $id = $tf->submit({type => 'data_processing', name => 'Q1', payload => {dataset => 'sales_q1', operation => 'aggregate', rows => 50000}})->{id};
my $job = $tf->wait_for_end($id);
is($job->{status}, 'SUCCESS', 'a data_processing job over sales_q1 succeeds');
is($job->{result}{rows}, 50000, 'it read 50,000 rows');
is($job->{progress}, 100, 'progress ended at 100');
is($tf->sql_value("SELECT result->>'rows' FROM jobs WHERE id = '$id'"), 50000, 'the result is in PostgreSQL');
is_deeply([sort keys %{$job->{result}{columns}}], [sort(numeric())], 'every numeric column is there, and no other');
for my $column (numeric()) {
    same("$column: count, sum, mean, min, max, stddev and median agree with an independent computation",
        $job->{result}{columns}{$column}, aggregate(map { $_->[$at{$column}] } @rows));
}

my $first = $tf->wait_for_end($tf->submit({type => 'data_processing', payload => {dataset => 'sales_q1', rows => 1001}})->{id});
is($first->{result}{rows}, 1001, 'rows bounds what is read');
same('units of the first 1,001 rows', $first->{result}{columns}{units}, aggregate(map { $_->[$at{units}] } @rows[0 .. 1000]));

my $grouped = $tf->wait_for_end($tf->submit({type => 'data_processing', payload => {dataset => 'sales_q1', group_by => 'region'}})->{id});
my %by;
push @{$by{$_->[$at{region}]}}, $_ for @rows;
is_deeply([map { $_->{value} } @{$grouped->{result}{groups}}], [sort keys %by], 'group_by makes one group per value, sorted');
for my $group (@{$grouped->{result}{groups}}) {
    my $members = $by{$group->{value}};
    is($group->{rows}, scalar @$members, "$group->{value}: rows");
    same("$group->{value}: revenue", $group->{columns}{revenue}, aggregate(map { $_->[$at{revenue}] } @$members));
}

done_testing;
