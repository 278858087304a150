# Credentials that jobs use by name: a worker starts only with those it can use, says of a bad one where it is wrong, and
# never what is in it.
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(give_away slurp spew);
use File::Path qw(make_path);

my $tf = TaskForge->start(parts => []);
my $home = $tf->{home};
my $dir = "$home/connections";
make_path($dir);
my $json = JSON::PP->new->canonical;

sub write_file { my ($name, $text, $mode) = @_; spew("$dir/$name", ref $text ? $json->encode($text) : $text); chmod $mode // 0600, "$dir/$name"; return }

sub check {
    my (%settings) = @_;
    my %env = (%{$tf->{settings}}, TASKFORGE_CONNECTIONS_DIR => $dir, %settings);
    local @ENV{keys %env} = values %env;
    my $text = `$home/bin/taskforge-worker -t 2>&1`;
    return ($? >> 8) . ' ' . $text;
}

my %secret = (value => 'open-sesame', hosts => ['api.example.com', '.example.com', '10.1.0.0/16']);
my %postgresql = (url => 'postgresql://etl:open-sesame@db.lan/sales?sslmode=verify-full', tables => ['sales', 'staging.*'], write => true);
my %s3 = (endpoint => 'https://127.0.0.1:9000', region => 'eu-west-1', access_key => 'AKIA', secret_key_file => 'minio.key', buckets => ['reports'],
    write => false, path_style => true);

like(check(TASKFORGE_CONNECTIONS_DIR => ''), qr/^0 /, 'none are needed');
like(check(TASKFORGE_CONNECTIONS_DIR => "$home/nowhere"), qr/^1 .*TASKFORGE_CONNECTIONS_DIR: \S+nowhere: No such file/, 'no such directory');
write_file('minio.key', "open-sesame\n");
write_file('crm.json', {secret => {%secret, header => 'Authorization', allow_http => false}});
write_file('sales-db.json', {postgresql => \%postgresql});
write_file('minio.json', {s3 => \%s3});
like(check(), qr/^0 .*the settings are ok/, 'one of each kind, all members') or diag(check());
my %page = slurp("$FindBin::Bin/../docs/handlers.md") =~ /^```json\n(\{"(?:secret|postgresql|s3)": .*\})\n```$()/mg;
is(keys %page, 3, 'the page has an example of each');
write_file('page' . length . '.json', $_) for keys %page;
like(check(), qr/^0 /, '... which can be used') or diag(check());

my @private = $> == 0 ? () : (0640);
for my $mode (0644, 0604, 0602, 0620, 0666, @private) {
    chmod $mode, "$dir/crm.json";
    like(check(), qr{^1 .*/crm\.json: \Q$dir\E/crm\.json: others than its owner may read it \(mode 0\d+\); chmod 0600 it$}, sprintf 'refused: mode %04o', $mode);
}
SKIP: {
    skip 'files of root are made by root', 2 if $> != 0;
    chmod 0640, "$dir/crm.json";
    like(check(), qr/^0 /, 'a group may read what is of root');
    give_away("$dir/crm.json");
    like(check(), qr{^1 .*\(mode 0640\)}, '... and nothing else');
    chown 0, 0, "$dir/crm.json";
}
chmod 0600, "$dir/crm.json";
chmod 0644, "$dir/minio.key";
like(check(), qr{^1 .*/minio\.json: /s3/secret_key_file: minio\.key: others than its owner}, 'refused: the file of a key that others may read');
chmod 0600, "$dir/minio.key";

for my $case (
    ['not JSON', "{\n\"secret\": open-sesame", qr/line 2, column \d+: not JSON/],
    ['a member that is there twice', '{"secret": {"value": "a", "value": "b"}}', qr/line 1, column \d+: /],
    ['no object', '["open-sesame"]', qr/must be an object with one of/],
    ['nothing', {}, qr/must be an object with one of/],
    ['two kinds', {secret => \%secret, s3 => \%s3}, qr/must be an object with one of/],
    ['an unknown kind', {ftp => {}}, qr{/ftp: is not known here}],
    ['a kind that is no object', {secret => 'open-sesame'}, qr/must be an object with one of/],
    ['an unknown member', {secret => {%secret, host => 'a'}}, qr{/secret/host: is not known here}],
    ['no value', {secret => {hosts => ['a']}}, qr{/secret: needs "value" or "value_file"}],
    ['two values', {secret => {%secret, value_file => 'x'}}, qr{/secret/value_file: is there beside "value"}],
    ['a value that is no text', {secret => {%secret, value => 7}}, qr{/secret/value: must be a text}],
    ['a value of two lines', {secret => {%secret, value => "open-sesame\r\nx: y"}}, qr{/secret/value: must be a line of text without control}],
    ['a file that is missing', {secret => {value_file => 'none', hosts => ['a']}}, qr{/secret/value_file: none: No such file}],
    ['a file that is none', {secret => {value_file => '.', hosts => ['a']}}, qr{/secret/value_file: \.: not a regular file}],
    ['no hosts', {secret => {value => 'open-sesame', hosts => []}}, qr{/secret/hosts: must be a list of 1 to 256 texts}],
    ['a host that is no text', {secret => {%secret, hosts => ['a', 7]}}, qr{/secret/hosts: entry 1 must be a text}],
    ['a host that is none', {secret => {%secret, hosts => ['https://a']}}, qr{/secret/hosts: "https://a" is not an address}],
    ['a header that is none', {secret => {%secret, header => 'a: b'}}, qr{/secret/header: is no name of a header}],
    ['allow_http that is no boolean', {secret => {%secret, allow_http => 'yes'}}, qr{/secret/allow_http: must be true or false}],
    ['a URL that is none', {postgresql => {%postgresql, url => 'postgresql://open-sesame@[/'}}, qr{/postgresql/url: is no URL or connection string that libpq understands}],
    ['no tables', {postgresql => {url => $postgresql{url}}}, qr{/postgresql/tables: must be a list}],
    ['no endpoint', {s3 => {access_key => 'a', secret_key => 'open-sesame', buckets => ['b']}}, qr{/s3/endpoint: is required}],
    ['an endpoint that is none', {s3 => {%s3, endpoint => 's3.example.com'}}, qr{/s3/endpoint: must begin with http}],
    ['an endpoint with a path', {s3 => {%s3, endpoint => 'https://a/b'}}, qr{/s3/endpoint: must end after the host or the port}],
    ['no key', {s3 => {endpoint => 'https://a', secret_key => 'open-sesame', buckets => ['b']}}, qr{/s3: needs "access_key" or "access_key_file"}],
) {
    my ($what, $text, $why) = @$case;
    write_file('wrong.json', $text);
    my $said = check();
    like($said, qr/^1 taskforge-worker: \Q$dir\E\/wrong\.json: $why/, "refused: $what");
    unlike($said, qr/open-sesame/, '... and the secret is not told');
}
unlink "$dir/wrong.json";
like(check(TASKFORGE_OUTGOING_DENY => '127.0.0.0/8'), qr{^1 .*/minio\.json: /s3/endpoint: the URL's host is on the list of denied}, 'refused: a store that TASKFORGE_OUTGOING_DENY names');
write_file('no name.json', {secret => \%secret});
like(check(), qr{^1 .*/no name\.json: the name must have 1 to 64 letters}, 'refused: a name that is none');

done_testing;
