# ai_inference: a model's answer is what its server streamed, with its usage and times; a stream that breaks is tried again; the
# operator's key goes to the operator's server alone.
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(slurp spew);
use TaskForge::Secrets qw(secret);
use TaskForge::WebServer;

my $key = secret('sk-' . join '', map { ('a' .. 'z', 0 .. 9)[rand 36] } 1 .. 32);
my $tf = TaskForge->start(parts => [qw(postgres redis)]);
my $home = $tf->{home};
my $web = TaskForge::WebServer->start($home, {TaskForge::WebServer::openai(key => $key, pause => 0.01)});
spew("$home/key", "$key\n");
# its address is private, and TASKFORGE_OUTGOING_ALLOW names nobody
%{$tf->{settings}} = (%{$tf->{settings}}, TASKFORGE_AI_URL => $web->url('/v1/'), TASKFORGE_AI_KEY_FILE => "$home/key", TASKFORGE_AI_MODEL => 'small', TASKFORGE_AI_MAX_TOKENS => 1000,
    TASKFORGE_WORKER_CONCURRENCY => 6, TASKFORGE_WORKER_QUEUES => 'default', TASKFORGE_LOST_SECONDS => 60);
$tf->start_part($_) for qw(nginx scheduler worker);
# others, with other settings
$tf->start_part('worker2', TASKFORGE_WORKER_QUEUES => 'none', TASKFORGE_AI_URL => '', TASKFORGE_WORKER_CONCURRENCY => 1, TASKFORGE_WORKER_INTERNAL => 'off');
$tf->start_part('worker3', TASKFORGE_WORKER_QUEUES => 'stranger', TASKFORGE_AI_KEY => 'sk-another', TASKFORGE_AI_MODELS => 'tiny,echo', TASKFORGE_AI_TIMEOUT_SECONDS => 30,
    TASKFORGE_WORKER_CONCURRENCY => 2, TASKFORGE_WORKER_INTERNAL => 'off');
$tf->start_part('worker4', TASKFORGE_WORKER_QUEUES => 'denied', TASKFORGE_OUTGOING_DENY => '127.0.0.0/8', TASKFORGE_WORKER_CONCURRENCY => 1, TASKFORGE_WORKER_INTERNAL => 'off');
wait_until(60, sub { $tf->post('/api/v1/jobs', {type => 'ai_inference', payload => {prompt => 'hello'}})->status == 202 }) or die "the type is not known\n";

my %id;
# what is tried again waits until it was looked at
my %later = (max_retries => 1, retry => {base_seconds => 300, max_seconds => 300});
sub ask { my ($name, $payload, %more) = @_; return $id{$name} = $tf->submit({type => 'ai_inference', payload => $payload, %later, %more})->{id} }
sub ended { my ($name) = @_; return $tf->wait_for_end($id{$name}, 60) }
my $words = join ' ', map {"wort$_ ☃"} 1 .. 20;

ask('endless', {model => 'endless', prompt => 'go', max_tokens => 300});
ask('seed', {model => 'any', prompt => $words, max_tokens => 100});
ask('default', {prompt => 'one two'});
ask('short', {model => 'any', prompt => $words, max_tokens => 5});
ask('split', {model => 'split', prompt => $words});
ask('silent', {model => 'silent', prompt => 'one two three'});
ask('whole', {model => 'any', prompt => $words, stream => false});
ask('completion', {model => 'any', prompt => 'one two three', endpoint => 'completions'});
ask('chat', {model => 'any', system => 'be brief', messages => [{role => 'user', content => 'a b'}, {role => 'assistant', content => 'c'}, {role => 'user', content => 'd "e"'}],
    temperature => 0.7, top_p => 1, stop => ["\n", 'END'], seed => 7});
ask('json', {model => 'json', prompt => 'x', response_format => 'json'});
ask('no json', {model => 'any', prompt => 'not json', response_format => 'json'});
ask($_, {model => $_, prompt => 'one two three'}) for qw(cut error html deep busy down wrong);
ask('nobody', {prompt => 'x'}, queue => 'none');
ask('denied', {prompt => 'x'}, queue => 'denied');
ask('stranger', {model => 'tiny', prompt => 'x'}, queue => 'stranger');
ask('forbidden', {model => 'huge', prompt => 'x'}, queue => 'stranger');
my $traced = $tf->post('/api/v1/jobs', {type => 'ai_inference', payload => {model => 'traced', prompt => 'x'}}, headers => {traceparent => '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'})->json;
ask('dear', {prompt => 'x', max_tokens => 1001});
ask('both', {prompt => 'x', messages => [{role => 'user', content => 'x'}]});
ask('odd', {endpoint => 'completions', system => 'x', prompt => 'x'});

# ---- answers
my $job = ended('seed');
is($job->{status}, 'SUCCESS', 'model, prompt and max_tokens are enough') or diag(explain($job));
my %result = %{$job->{result}};
is_deeply([sort keys %result], [sort qw(model text finish_reason usage duration_ms time_to_first_token_ms)], 'the members of a result');
is($result{text}, $words, '... the text');
is_deeply([@result{qw(model finish_reason usage)}], ['any-2024', 'stop', {prompt_tokens => 40, completion_tokens => 40, total_tokens => 80}], '... who, why it ended, and what it cost');
cmp_ok($result{time_to_first_token_ms}, '<', $result{duration_ms}, '... the first token was there before the last');
cmp_ok($result{duration_ms}, '>=', 40 * 10, '... which the server took its time for');
# what the server streams to another client
sub curl_text {
    my ($model) = @_;
    my $body = JSON::PP->new->utf8->encode({model => $model, stream => true, messages => [{role => 'user', content => $words}]});
    open my $out, '-|', 'curl', '-sSN', '-H', "\@$home/work-header", '-d', $body, $web->url('/v1/chat/completions') or die "curl: $!";
    return join '', map { /^data: (\{.*\})\r?$/ ? JSON::PP::decode_json($1)->{choices}[0]{delta}{content} // '' : () } <$out>;
}
spew("$home/work-header", "Authorization: Bearer $key\n");
for my $name (qw(seed split)) {
    is(ended($name)->{result}{text}, curl_text($name eq 'seed' ? 'any' : 'split'), "$name: the text is what curl gets");
}
is_deeply([@{ended('split')->{result}}{qw(finish_reason usage)}], [@result{qw(finish_reason usage)}], '... in pieces of three bytes, with CRLF and comments');
is_deeply([@{ended('short')->{result}}{qw(text finish_reason)}], ['wort1 ☃ wort2 ☃ wort3', 'length'], 'max_tokens');
is(ended('default')->{result}{model}, 'small-2024', 'TASKFORGE_AI_MODEL, if the job names none');
is_deeply([@{ended('silent')->{result}}{qw(text usage)}], ['one two three', undef], 'a server that does not tell the usage');
is_deeply([@{ended('whole')->{result}}{qw(text usage time_to_first_token_ms)}], [$words, $result{usage}, undef], 'stream: false');
is(ended('completion')->{result}{text}, 'one two three', 'endpoint: completions');
is_deeply([@{ended('json')->{result}}{qw(text json)}], ['{"answer": 42}', {answer => 42}], 'response_format: json');
is(ended('chat')->{result}{text}, 'd "e"', 'messages');
my $trace = $tf->wait_for_end($traced->{id}, 60);
is($trace->{status}, 'SUCCESS', 'a job with a trace');
my %sent = map { my $body = JSON::PP->new->decode($_->{body}); ((defined $body->{messages} ? $body->{messages}[-1]{content} : $body->{prompt}) . "/$body->{model}" => [$_, $body]) } $web->requests;
is_deeply($sent{'d "e"/any'}[1], {model => 'any', max_tokens => 1000, temperature => 0.7, top_p => 1, stop => ["\n", 'END'], seed => 7, stream => true, stream_options => {include_usage => true},
    messages => [{role => 'system', content => 'be brief'}, {role => 'user', content => 'a b'}, {role => 'assistant', content => 'c'}, {role => 'user', content => 'd "e"'}]}, '... are sent as they are');
is_deeply([@{$sent{'one two three/any'}[0]}{qw(method target)}], ['POST', '/v1/completions'], '... a completion goes to /completions');
is($sent{'x/traced'}[0]{headers}{traceparent} =~ s/^00-(\w+)-.*/$1/r, '0af7651916cd43dd8448eb211c80319c', '... which goes on');

# ---- progress, log, cancel
my $seen = wait_until(60, sub { my $j = $tf->job($id{endless}); $j->{progress} > 0 && @{$j->{logs}} && $j });
ok($seen, 'tokens are progress, and the text is in the log') or diag(explain($tf->job($id{endless})));
cmp_ok($seen->{progress}, '<=', 99, '... never all of it');
like($seen->{logs}[0]{message}, qr/^\d+ tokens: (?:\.\.\.)?.*word\d+$/, '... a line of it');
$tf->post("/api/v1/jobs/$id{endless}/cancel", {});
$job = ended('endless');
is($job->{status}, 'CANCELLED', 'a cancel ends it');
is($job->{result}{finish_reason}, 'cancelled', '... and the result says so');
like($job->{result}{text}, qr/^ word0 word1 /, '... with the text so far');

# ---- failures
for my $case (['cut', 'RETRYING', qr/^the answer broke off after 2 tokens: /], ['error', 'RETRYING', qr/^the answer broke off after 1 tokens: The server is overloaded$/], ['html', 'RETRYING', qr/^the answer broke off after 0 tokens: it is no JSON/],
    ['deep', 'RETRYING', qr/^the answer broke off after 0 tokens: it is no JSON object: nested deeper than 64 levels$/],
    ['busy', 'RETRYING', qr/^HTTP 429: Rate limit reached$/], ['down', 'RETRYING', qr/^HTTP 500: The server had an error$/], ['no json', 'RETRYING', qr/^the text is no JSON: .*finish_reason stop/],
    ['wrong', 'FAILED', qr/^HTTP 400: temperature must be at most 2$/], ['stranger', 'FAILED', qr/^HTTP 401: Incorrect API key provided$/], ['nobody', 'FAILED', qr/^there is no language model: TASKFORGE_AI_URL is not set$/],
    ['forbidden', 'FAILED', qr/^payload: "model": "huge" is not among TASKFORGE_AI_MODELS$/], ['dear', 'FAILED', qr/^payload: "max_tokens" must be an integer from 1 to 1000 \(TASKFORGE_AI_MAX_TOKENS\)$/],
    ['both', 'FAILED', qr/^payload: needs either "prompt" or "messages"$/], ['odd', 'FAILED', qr/^payload: completions take a "prompt"/]) {
    my ($name, $status, $error) = @$case;
    $job = $tf->wait_for_status($id{$name}, $status, 60);
    is($job->{status}, $status, "$name: $status");
    like($job->{error}, $error, '... and why');
}
is($tf->sql_value("SELECT extract(epoch FROM run_at - finished_at)::int FROM jobs WHERE id = '$id{busy}'"), 600, '... after Retry-After');
is($tf->post('/api/v1/jobs', {type => 'ai_inference', payload => $_})->status, 422, 'refused at once: ' . JSON::PP->new->canonical->encode($_))
    for {}, {prompt => ''}, {prompt => 'x', temperature => 3}, {prompt => 'x', max_tokens => 0}, {messages => []}, {messages => [{role => 'god', content => 'x'}]}, {prompt => 'x', url => 'http://a/'},
    {prompt => 'x', stop => []}, {prompt => 'x', endpoint => 'chats'};

# ---- the page's example
my ($printed) = slurp("$FindBin::Bin/../docs/handlers.md") =~ /^## ai_inference\n.*?^```sh\n(curl .*?)```$/ms;
$printed =~ s/127\.0\.0\.1:3000/127.0.0.1:$tf->{port}/ or die 'no port';
$id{page} = JSON::PP::decode_json(`TOKEN=none; $printed`)->{id};
is(ended('page')->{result}{text}, 'Name three rivers of Europe.', 'the example of docs/handlers.md') or diag(explain(ended('page')));

# ---- settings
sub check {
    my (%settings) = @_;
    my %env = (%{$tf->{settings}}, %settings);
    local @ENV{keys %env} = values %env;
    my $said = `$home/bin/taskforge-worker -t 2>&1`;
    return ($? >> 8) . ' ' . $said;
}
like(check(TASKFORGE_AI_URL => 'localhost:11434'), qr/^1 .*TASKFORGE_AI_URL: must begin with http/, 'refused: a URL that is none');
like(check(TASKFORGE_AI_URL => 'http://a/v1?x'), qr/^1 .*TASKFORGE_AI_URL: must not have a query/, 'refused: a URL with a query');
like(check(TASKFORGE_AI_KEY => "$key\nx"), qr/^1 .*TASKFORGE_AI_KEY: must be printable ASCII without blanks$/, 'refused: a key that is none, and it is not shown');
like(check(TASKFORGE_AI_MAX_TOKENS => 0), qr/^1 .*TASKFORGE_AI_MAX_TOKENS: "0" is not an integer/, 'refused: no tokens');

my $denied = ended('denied');
is("$denied->{status} $denied->{attempt}", 'FAILED 1', 'TASKFORGE_OUTGOING_DENY holds for the operator\'s own URL');
like($denied->{error}, qr/is on the list of denied addresses \(TASKFORGE_OUTGOING_DENY\)/, '... and the error says so');

done_testing;
