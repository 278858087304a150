# gen-sales: the same bytes everywhere, rows that agree with themselves, clear errors.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use Test::More;
use TaskForge::Stack;

my $generator = "$TaskForge::Stack::BUILD/gen-sales";
plan skip_all => "$generator: not there; run make" unless -x $generator;

my $csv = qx('$generator');
is($?, 0, 'it ends well');
is(sha256_hex($csv), 'c412d951f43a02e1873f19bb680fcc97c0587a6872b25e741a148d5734b6939f', 'sales_q1 is the same bytes as ever');
is(qx(LC_ALL=de_DE.UTF-8 '$generator'), $csv, 'whatever the locale');

my @lines = split /\n/, $csv;
is(shift @lines, 'order_id,order_date,region,product,category,units,unit_price,discount,revenue', 'the first line has the names');
is(scalar @lines, 50_000, '50,000 rows');

my (@wrong, %day, %region);
my $expected_id = 100_000;
my $previous = '';
for my $line (@lines) {
    my ($id, $date, $region, $product, $category, $units, $price, $discount, $revenue) =
        $line =~ /^(\d+),(2024-0[123]-\d\d),(\w+),("[^"]+"|\w+),(\w+),([1-9]),(\d+\.\d\d),(0\.\d\d),(\d+\.\d\d)$/ or do { push @wrong, $line; next };
    my $cents = int(($units * sprintf('%.0f', $price * 100) * (100 - sprintf('%.0f', $discount * 100)) + 50) / 100);
    push @wrong, $line if $id != $expected_id++ || $date lt $previous || $cents != sprintf('%.0f', $revenue * 100);
    $previous = $date;
    $day{$date}++;
    $region{$region}++;
}
is_deeply(\@wrong, [], 'every row: ids and dates ascend, revenue = units * unit_price * (1 - discount)');
is(scalar keys %day, 91, 'every day of the quarter has orders');
is_deeply([sort keys %region], [qw(East North Overseas South West)], 'five regions');

is(scalar(() = qx('$generator' --rows 3) =~ /\n/g), 4, '--rows 3 writes three and the names');
is(scalar(() = qx('$generator' --rows 0) =~ /\n/g), 1, '--rows 0 only the names');
isnt(qx('$generator' --seed 2), $csv, 'another seed gives other rows');
is(qx('$generator' --seed 2), qx('$generator' --seed=2), 'and always the same');

for my $bad ('--rows -1', '--rows x', '--rows 1x', '--rows 9999999999999999999', '--seed', '--nonsense', 'file.csv') {
    my $text = qx('$generator' $bad 2>&1 >/dev/null);
    is($? >> 8, 2, "$bad is refused");
    like($text, qr/\S/, 'with a word why');
}
like(qx('$generator' 2>&1 >/dev/full), qr/^gen-sales: cannot write: No space left on device$/, 'a full disk is said');
is($? >> 8, 1, 'and is a failure');

done_testing;
