# The API's document has an operation for each route, and no other: with the route's name, role, scopes and query parameters.
# What the routes answer is held against it at the end of ./taskforge test (html/tools/check-answers.js).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use TaskForge::Files qw(slurp);

my $root = "$FindBin::Bin/..";
my $sources = join '', map { slurp($_) } glob "$root/ngx_taskforge_module/*.c";
my ($table) = $sources =~ /ngx_http_taskforge_routes\[\] = \{(.*?)^\};/ms or die "the route table is not where it was\n";
my %scopes = (READ => 'manage read', JOBS => 'manage read submit', SUBMIT => 'manage submit', MANAGE => 'manage', 0 => '');
my %args; # array of names => its names
while ($sources =~ /^const ngx_str_t\s+(ngx_http_taskforge_\w+_args)\[\] = \{(.*?)^\};/msg) {
    my ($array, $names) = ($1, $2);
    $args{$array} = join ' ', sort $names =~ /ngx_string\("(\w+)"\)/g;
}

my %routes;
while ($table =~ /\{ NGX_HTTP_(\w+), ngx_string\("([^"]+)"\),\s+\w+,\s+NGX_HTTP_TASKFORGE_ROLE_(\w+),\s+(\w+),\s+ngx_string\("(\w+)"\),\s+(\w+),/g) {
    my ($method, $path, $role, $scopes, $name, $args) = ($1, $2, $3, $4, $5, $6);
    $routes{"$method $path"} = {operationId => $name, role => $role eq 'NONE' ? 'anyone' : lc $role, scopes => $scopes{$scopes},
        args => $args eq 'NULL' ? '' : $args{$args}};
}
my $rows = () = $table =~ /^    \{ (?!0,)/mg;
is(scalar keys %routes, $rows, "the route table has $rows rows, all understood");

# the document is laid out for people: two blanks before a path, four before a method, six before its members
my ($path, $operation, %operations);
my ($paths) = slurp("$root/html/api/openapi.yaml") =~ /^paths:\n(.*?)^webhooks:/ms or die "no paths in the document\n";
for (split /\n/, $paths) {
    if (m{^  (/\S*):$}) {
        $path = $1 =~ s/\{delivery\}/{id}/r;
    } elsif (/^    (get|post|patch|put|delete):$/) {
        $operation = $operations{uc($1) . " $path"} = {args => ''};
    } elsif (/^      (?:x-)?(operationId|role): (\w+)$/) {
        $operation->{$1} = $2;
    } elsif (/^      x-scopes: \[(.*)\]$/) {
        $operation->{scopes} = join ' ', sort split /, /, $1;
    } elsif (/^        - (?:\{)?name: (\w+)(?:, in: query|$)/) {
        $operation->{args} = join ' ', sort split(/ /, $operation->{args}), $1;
    } elsif (m{^        - \{\$ref: "#/components/parameters/(Limit|Cursor)"\}$}) {
        $operation->{args} = join ' ', sort split(/ /, $operation->{args}), lc $1;
    }
}
is_deeply([sort keys %operations], [sort keys %routes], 'every route has an operation, every operation a route');
for my $route (sort grep { $operations{$_} } keys %routes) {
    is_deeply($operations{$route}, $routes{$route}, "$route: name, role, scopes and query parameters");
}

# the events: one list in the answer of GET /events, the same in what comes over /ws, and who writes events knows no other name
my ($known) = slurp("$root/html/api/openapi.yaml") =~ /^    Event:.*?event: \{enum: \[([\w,\s]+)\]/ms;
my @told = map { /enum: \[([\w, ]+)\]/g } slurp("$root/html/api/asyncapi.yaml") =~ /^    (?:Job|Worker)Event:.*?^            event: .*?$/msg;
is_deeply([sort map { split /,\s*/ } @told], [sort split /,\s*/, $known], 'the events of asyncapi.yaml are those of openapi.yaml');
my %written = map { $_ => 1 } map { slurp($_) =~ /"((?:job_(?:queued|running|progress|success|failed|retrying|cancelled)|worker_(?:online|offline|stuck)))"/g }
    glob "$root/{core,daemon,worker,scheduler,ngx_taskforge_module}/*.c";
is_deeply([sort keys %written], [sort split /,\s*/, $known], 'and each is written somewhere');

done_testing;
