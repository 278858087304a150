# email and send_email: what they send is what Python's email package reads, each recipient's answer is told, and nobody gets a
# mail twice. The server is a real one (aiosmtpd) that wants STARTTLS with a certificate of the test's CA, and a login.
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use TaskForge;
use TaskForge::Files qw(slurp spew);
use TaskForge::SMTP;
use TaskForge::Stack;
use TaskForge::TLS;
use Encode qw(decode);
use File::Path qw(make_path);

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);
my $tls = TaskForge::TLS->new;
my $tf = TaskForge->start(parts => [qw(postgres redis)]);
my $home = $tf->{home};
my $mail = TaskForge::SMTP->start("$home/mail", $tls->certificate('mail.test', 'IP:127.0.0.1'));
my $plain = TaskForge::SMTP->start("$home/plain");

make_path("$home/templates");
spew("$home/templates/welcome.subject", "Welcome, {{name}}\n");
spew("$home/templates/welcome.txt", "Dear {{name}},\n{{#items}}\n* {{.}}\n{{/items}}\n{{^items}}\nnothing yet\n{{/items}}\n");
spew("$home/templates/welcome.html", "<p>Dear {{name}},</p>");
spew("$home/templates/broken.txt", "line 1\n{{#open}}\n");
spew("$home/secret.txt", 'not for mails');
spew("$home/data/all bytes.bin", join '', map { chr } (0 .. 255) x 40);
spew("$home/data/small.csv", "a,b\n1,2\n");
symlink "$home/secret.txt", "$home/data/link.txt";
my %mail = (
    TASKFORGE_SMTP_URL            => "smtp://$mail->{user}\@127.0.0.1:$mail->{port}",
    TASKFORGE_SMTP_PASSWORD       => $mail->{password},
    TASKFORGE_SMTP_CA_FILE        => $tls->{ca},
    TASKFORGE_EMAIL_FROM          => 'TaskForge <jobs@example.com>',
    TASKFORGE_EMAIL_TEMPLATES_DIR => "$home/templates",
    TASKFORGE_EMAIL_DOMAINS       => 'example.com, .example.org xn--bcher-kva.example',
    TASKFORGE_EMAIL_RECIPIENTS_MAX => 12,
    TASKFORGE_EMAIL_MESSAGE_MAX_BYTES => 100_000,
    TASKFORGE_LOST_SECONDS        => 60,
);
@{$tf->{settings}}{keys %mail} = values %mail;
$tf->start_part($_) for qw(scheduler worker nginx);
wait_until(60, sub { $tf->post('/api/v1/jobs', {type => 'noop'})->status == 202 }) or die "the type is not known\n";

my %soon = (retry => {base_seconds => 0, max_seconds => 0, jitter => false});
sub job_for { my ($payload, %more) = @_; return $tf->submit({type => 'email', payload => $payload, %more})->{id} }
sub sent { my ($payload, %more) = @_; return $tf->wait_for_end(job_for($payload, %more), 60) }
sub message_of { my ($job) = @_; return grep { $_->{headers}{'message-id'} eq "<$job->{id}\@example.com>" } $mail->messages }
sub envelope_to { my ($job) = @_; return join '; ', map { join ',', @{$_->{envelope}{to}} } message_of($job) }
sub without { my ($result, @keys) = @_; my %rest = %$result; delete @rest{@keys}; return \%rest }

# ---- seed 001's
my $job = $tf->wait_for_end($tf->submit({type => 'send_email', payload => {to => 'ada@example.com', subject => 'Hello', body => "Hi Ada"}})->{id}, 60);
is($job->{status}, 'SUCCESS', 'send_email: SUCCESS') or diag $job->{error};
is_deeply(without($job->{result}, 'server_message'), {status => 'sent', to => 'ada@example.com', subject => 'Hello', message_id => $job->{id},
    accepted => ['ada@example.com'], rejected => []}, 'send_email: the result');
like($job->{result}{server_message}, qr/queued as \d+$/, '... and what the server said');
my ($got) = message_of($job);
is_deeply($got->{envelope}, {from => 'jobs@example.com', to => ['ada@example.com'], user => $mail->{user}, tls => true}, 'the envelope, over TLS and with login');
is($got->{parts}[0]{text}, "Hi Ada\n", 'the text');
is_deeply([@{$got->{headers}}{qw(from to subject auto-submitted)}], ['TaskForge <jobs@example.com>', 'ada@example.com', 'Hello', 'auto-generated'], 'the header');

# ---- everything a mail may have
my $text = "Grüße, 你好 = 100 %\n.a point\n..two\nFrom me\ntrailing \t\n" . ('long ' x 60) . "\nx" . ('é' x 200) . "\r\nend";
my $subject = 'Ärger mit "Umlauten", =?no word?= und einer sehr langen Zeile, die umbrochen werden muss, weil sie nicht passt 你好';
my @to = ('"Lovelace, Ada" <ada@EXAMPLE.com>', 'Jürgen Größe-Müßig von und zu Überlingen am Bodensee <j@mail.example.org>', 'bob@bücher.example');
$job = sent({to => \@to, cc => ['Carol <carol@example.com>', 'ada@example.com'], bcc => 'dave@example.com', reply_to => 'Support <support@elsewhere.test>',
    subject => $subject, text => $text, html => '<p>Grüße</p>', attachments => [{path => 'all bytes.bin'},
    {path => 'small.csv', name => 'Übersicht "1".csv', content_type => 'text/csv'}]});
is($job->{status}, 'SUCCESS', 'email: SUCCESS') or diag $job->{error};
my @accepted = qw(ada@example.com j@mail.example.org bob@xn--bcher-kva.example carol@example.com dave@example.com);
is_deeply($job->{result}{accepted}, \@accepted, 'each recipient once, domains in ASCII');
is_deeply($job->{result}{to}, \@to, 'the result has "to" as it was given');
($got) = message_of($job);
is_deeply($got->{envelope}{to}, \@accepted, 'the envelope has all of them');
is_deeply($got->{defects}, [], 'Python finds no fault with it') or diag $got->{raw};
is($got->{headers}{subject}, $subject, 'the subject') or diag $got->{raw};
# Python 3.11 puts a blank between encoded words of names
my ($raw_to) = $got->{raw} =~ /^(To: .*?)\r?\n(?! )/ms;
is(decode('MIME-Header', $raw_to), 'To: "Lovelace, Ada" <ada@example.com>, Jürgen Größe-Müßig von und zu Überlingen am Bodensee <j@mail.example.org>, bob@xn--bcher-kva.example', 'To');
is($got->{headers}{cc}, 'Carol <carol@example.com>', 'Cc, without who is in To');
is($got->{headers}{'reply-to'}, 'Support <support@elsewhere.test>', 'Reply-To');
ok(!exists $got->{headers}{bcc} && $got->{raw} !~ /dave/, 'nothing tells of Bcc');
is_deeply($got->{structure}, [qw(multipart/mixed multipart/alternative text/plain text/html application/octet-stream text/csv)], 'the parts');
is($got->{parts}[0]{text}, $text =~ s/\r\n/\n/gr, 'the text comes through as it is');
is($got->{parts}[1]{text}, '<p>Grüße</p>', 'the HTML too');
is($got->{parts}[2]{hex}, join('', map { sprintf '%02x', $_ } (0 .. 255) x 40), 'all bytes of a file');
is_deeply([map { "$_->{disposition} $_->{name}" } @{$got->{parts}}[2, 3]], ['attachment all bytes.bin', 'attachment Übersicht "1".csv'], 'names of files');
cmp_ok($got->{longest}, '<=', 78, 'no line is longer than 78 bytes');
is_deeply([@{$got}{qw(ascii bare)}], [true, 0], 'it is ASCII with CRLF throughout');

# ---- templates, and the payloads of the other seeds
$job = sent({to => 'ada@example.com', template => 'welcome', variables => {name => 'Ada <3', items => [1, 'two']}, recipients => ['bob@example.com']});
is($job->{status}, 'SUCCESS', 'a template') or diag $job->{error};
($got) = message_of($job);
is($got->{headers}{subject}, 'Welcome, Ada <3', '... its subject');
is_deeply([map { $_->{text} } @{$got->{parts}}], ["Dear Ada <3,\n* 1\n* two\n", "<p>Dear Ada &lt;3,</p>"], '... text as it is, HTML escaped');
is_deeply($got->{envelope}{to}, ['ada@example.com', 'bob@example.com'], '... "to" and "recipients" together');
is(sent({recipient => 'ada@example.com', subject => 'Only a subject'})->{result}{to}, 'ada@example.com', '{recipient, subject} is enough');

my ($printed) = slurp("$FindBin::Bin/../docs/handlers.md") =~ /^## email\n\n```sh\n(curl .*?)```$/ms;
$printed =~ s/127\.0\.0\.1:3000/127.0.0.1:$tf->{port}/;
$job = $tf->wait_for_end(JSON::PP::decode_json(`TOKEN=none; $printed`)->{id}, 60);
is_deeply($job->{result}{accepted}, ['ada@example.com', 'bob@example.com'], 'the example of docs/handlers.md') or diag explain $job;

# ---- who is refused
$job = sent({to => ['ada@example.com', 'refused@example.com'], subject => 's', body => 'b'});
is($job->{status}, 'SUCCESS', 'one of two is refused for good: the other gets it');
is_deeply([@{$job->{result}}{qw(status accepted rejected)}], ['partial', ['ada@example.com'],
    [{recipient => 'refused@example.com', code => 550, message => '5.1.1 no such user'}]], '... and the result says who did not');
is(envelope_to($job), 'ada@example.com', '... in one message');
$job = sent({to => 'refused@example.com', subject => 's', body => 'b'});
is("$job->{status} $job->{attempt}", 'FAILED 1', 'all are refused for good: FAILED at once');
like($job->{error}, qr/^SMTP server 127\.0\.0\.1:\d+ refused 1 of 1 recipients: refused\@example\.com: 550 5\.1\.1 no such user$/, '... and why');
$job = sent({to => ['ada@example.com', 'once@example.com'], subject => 's', body => 'b'}, %soon);
is("$job->{status} $job->{attempt} $job->{result}{status}", 'SUCCESS 2 sent', 'one is refused for now: nobody gets it until all can');
is(envelope_to($job), 'ada@example.com,once@example.com', '... and nobody gets it twice');
like($job->{errors}[0]{error}, qr/refused 1 of 2 recipients, some of them for now: once\@example\.com: 450 4\.2\.0 greylisted, 4\.2\.0 come again$/, '... said in the errors');
$job = sent({to => ['ada@example.com', 'later@example.com'], subject => 's', body => 'b'}, %soon, max_retries => 1);
is("$job->{status} $job->{attempt} $job->{result}{status}", 'SUCCESS 2 partial', 'one is refused for now, always: the last attempt is for the others');
is(envelope_to($job), 'ada@example.com', '... once');
is($job->{result}{rejected}[0]{code}, 450, '... and the result says who did not get it');
$job = sent({to => 'later@example.com', subject => 's', body => 'b'}, %soon, max_retries => 1);
is("$job->{status} $job->{attempt}", 'DEAD_LETTER 2', 'all are refused for now, always: DEAD_LETTER');
for my $case (['spam', 'FAILED 1', qr/refused the message: 554 5\.7\.1 this is spam$/], ['quota', 'DEAD_LETTER 2', qr/refused the message: 452 4\.3\.1/],
    ['busy', 'DEAD_LETTER 2', qr/: 421 4\.3\.2 shutting down$/], ['drop', 'DEAD_LETTER 2', qr/^SMTP server 127\.0\.0\.1:\d+: /]) {
    my ($who, $end, $error) = @$case;
    $job = sent({to => "$who\@example.com", subject => 's', body => 'b'}, %soon, max_retries => 1);
    is("$job->{status} $job->{attempt}", $end, "$who: $end");
    like($job->{error}, $error, '... and why');
}

# ---- connections are kept
my @connections = $mail->events('connect');
is(sent({to => 'ada@example.com', subject => "n $_", body => 'b'})->{status}, 'SUCCESS', 'one after the other') for 1 .. 6;
cmp_ok(scalar(my @now = $mail->events('connect')), '<=', @connections + 2, 'six mails need no more connections than there are executors');
is(sent({to => 'last@example.com', subject => 's', body => 'b'})->{attempt}, 1, 'a connection that has had enough');
my @after = map { sent({to => 'ada@example.com', subject => 's', body => 'b'}) } 1 .. 2;
is_deeply([map { "$_->{status} $_->{attempt}" } @after], [('SUCCESS 1') x 2], '... costs no attempt');

# ---- a server that says nothing holds up nobody else, and a cancel ends the waiting
my $data = () = $mail->events('data');
my @waiting = map { job_for({to => $_, subject => 's', body => 'b'}) } ('hang@example.com', 'hangdata@example.com') x 3;
ok(wait_until(60, sub { 3 == grep({ $_->{address} eq 'hang@example.com' } $mail->events('rcpt')) && $mail->events('data') >= $data + 3 }),
    'six mails wait for a server, more than there are executors');
is(sent({to => 'ada@example.com', subject => 's', body => 'b'})->{attempt}, 1, '... and another is sent meanwhile');
my $began = time;
$tf->post("/api/v1/jobs/$_/cancel", {}) for @waiting;
is_deeply([map { $tf->wait_for_end($_, 30)->{status} } @waiting], [('CANCELLED') x 6], '... all are cancelled');
cmp_ok(time - $began, '<', 15, '... soon');
is(sent({to => 'ada@example.com', subject => 's', body => 'b'})->{attempt}, 1, 'the next mail is sent as ever');

# ---- what is refused before a server is asked
for my $case (
    [{to => "ada\@example.com\r\nBcc: eve\@example.com"}, qr/^payload: "to" has a line end or another control character$/],
    [{to => "Ada\n <ada\@example.com>"},             qr/"to" has a line end/],
    [{to => ["ada\@example.com", "x\x{2028}y <a\@example.com>"]}, qr/"to"\[1\] has a line end/],
    [{to => 'ada@example.com', cc => 'nobody'},      qr/"cc" has no @/],
    [{to => 'ada@example.com', bcc => ['a..b@example.com']}, qr/"bcc"\[0\] has characters before the @/],
    [{to => 'a@b@example.com'},                      qr/"to" has characters before the @/],
    [{to => 'ada@-x.example.com'},                   qr/"to" has no valid domain/],
    [{to => 'ada@[127.0.0.1]'},                      qr/"to" has no valid domain/],
    [{to => 'Ünal@example.com'},                     qr/"to" has characters before the @/],
    [{to => 'x' x 65 . '@example.com'},              qr/"to" has more than 64 characters/],
    [{to => 'ada@example.net'},                      qr/"to": mail to example\.net is not allowed by TASKFORGE_EMAIL_DOMAINS/],
    [{to => 'ada@example.org'},                      qr/mail to example\.org is not allowed/],
    [{to => [map {"a$_\@example.com"} 1 .. 13]},     qr/13 recipients, where TASKFORGE_EMAIL_RECIPIENTS_MAX allows 12/],
    [{to => 'ada@example.com', subject => "a\nBcc: eve\@example.com"}, qr/"subject" must be one line/],
    [{to => 'ada@example.com', reply_to => "a\@b\r\nX: y"}, qr/"reply_to" has a line end/],
    [{to => 'ada@example.com', text => 'again'},     qr/"body" and "text" are the same/],
    [{to => 'ada@example.com', template => 'welcome'}, qr/the texts are either in "template" or in "body"/],
    [{to => 'ada@example.com', template => '../secret', body => undef}, qr/"template" must be a name/],
    [{to => 'ada@example.com', template => 'none', body => undef}, qr/there is neither none\.txt nor none\.html/],
    [{to => 'ada@example.com', template => 'broken', body => undef}, qr/"template": broken\.txt: line 2: \{\{#open\}\} is not closed/],
    [{to => 'ada@example.com', body => 'x' x 100_001}, qr/100001 bytes of texts and attachments, where TASKFORGE_EMAIL_MESSAGE_MAX_BYTES allows 100000/],
    [{to => 'ada@example.com', attachments => [{path => '../secret.txt'}]}, qr/^\.\.\/secret\.txt: leads out of the data directory$/],
    [{to => 'ada@example.com', attachments => [{path => 'link.txt'}]}, qr/^link\.txt: leads out of the data directory$/],
    [{to => 'ada@example.com', attachments => [{path => 'none.txt'}]}, qr/^none\.txt: no such file/],
    [{to => 'ada@example.com', attachments => [{path => 'small.csv', name => "a\nb"}]}, qr/"attachments"\[0\]: "name" must/],
    [{to => 'ada@example.com', attachments => [{path => 'small.csv', content_type => "text/csv\r\nX: y"}]}, qr/"attachments"\[0\]: "content_type" must/],
) {
    my ($payload, $error) = @$case;
    my %payload = (subject => 's', body => 'b', %$payload);
    delete $payload{body} unless defined $payload{body};
    my $failed = sent(\%payload);
    is("$failed->{status} $failed->{attempt}", 'FAILED 1', "FAILED: $error");
    like($failed->{error}, $error, '... and says why');
}
my $r = $tf->post('/api/v1/jobs', {type => 'send_email', payload => {to => 'ada@example.com', subject => 's', sender => 'me'}});
ok($r->is_problem(422), 'send_email: a wrong payload is refused when it is submitted');
is_deeply([sort map { $_->{pointer} } @{$r->json->{errors}}], ['#/payload/body', '#/payload/sender'], '... what is missing and what is unknown');
is($tf->post('/api/v1/jobs', {type => 'email', payload => {subject => 's'}})->status, 422, 'email: nobody to send it to');
is(scalar(grep { $_->{raw} =~ /eve/ } $mail->messages), 0, 'no header was injected');

# ---- servers that are not to be trusted, or not there
sub worker_with { my ($name, %settings) = @_; $tf->start_part($name, TASKFORGE_WORKER_QUEUES => $name, %mail, %settings); return }
sub error_from { my ($name) = @_; return sent({to => 'ada@example.com', subject => 's', body => 'b'}, queue => $name, max_retries => 0)->{error} }
my $closed = TaskForge::Stack::free_port();
worker_with('worker2', TASKFORGE_SMTP_CA_FILE => '');
worker_with('worker3', TASKFORGE_SMTP_URL => "smtp://$mail->{user}\@127.0.0.1:$plain->{port}");
worker_with('worker4', TASKFORGE_SMTP_PASSWORD => 'not the password');
worker_with('worker5', TASKFORGE_SMTP_URL => "smtp://127.0.0.1:$closed", TASKFORGE_SMTP_PASSWORD => '');
worker_with('worker6', TASKFORGE_SMTP_URL => "smtp://127.0.0.1:$plain->{port}", TASKFORGE_SMTP_PASSWORD => '', TASKFORGE_SMTP_STARTTLS => 'if-offered');
worker_with('worker7', TASKFORGE_SMTP_URL => '');
worker_with('worker8', TASKFORGE_RESULT_MAX_BYTES => 4096, TASKFORGE_EMAIL_RECIPIENTS_MAX => 100);
like(error_from('worker2'), qr/: its certificate is not to be trusted: /, 'a certificate of nobody we trust');
like(error_from('worker3'), qr/: no encrypted connection \(STARTTLS\): /, 'a server without STARTTLS: not even the password is sent');
like(error_from('worker4'), qr/: it refused the user and password of the settings$/, 'a wrong password');
is(error_from('worker5'), "SMTP connection refused: 127.0.0.1:$closed", 'nobody listens');
is($tf->wait_for_status(job_for({to => 'ada@example.com', subject => 's'}, queue => 'worker5'), 'RETRYING')->{status}, 'RETRYING', '... is tried again');
is(error_from('worker6'), undef, 'without TLS, if the settings want it so');
is(scalar(my @unsafe = $plain->messages), 1, '... and that one alone was taken in plain text');
$tf->stop_part('worker6');
worker_with('worker6', TASKFORGE_SMTP_URL => "smtp://127.0.0.1:$plain->{port}", TASKFORGE_SMTP_PASSWORD => '', TASKFORGE_SMTP_STARTTLS => 'if-offered', TASKFORGE_SMTP_CONNECTIONS => 2);
my $before = () = $plain->events('connect');
my @crowd = map { $_->{id} } $tf->submit_batch(map { {type => 'email', queue => 'worker6', payload => {to => 'ada@example.com', subject => "mail $_"}} } 1 .. 20);
is_deeply([map { $tf->wait_for_end($_, 120)->{status} } @crowd], [('SUCCESS') x 20], '20 mails at once');
cmp_ok(scalar(my @connects = $plain->events('connect')) - $before, '<=', 4, '... over few connections: TASKFORGE_SMTP_CONNECTIONS=2');
is(error_from('worker7'), 'no mail server is set: TASKFORGE_SMTP_URL', 'no server is set');
$job = sent({to => [map({ "A friend of ours with the number $_ <a$_\@example.com>" } 1 .. 60), 'refused@example.com'], subject => 'To many', body => 'b'}, queue => 'worker8');
is($job->{status}, 'SUCCESS', 'more recipients than the result has room for: SUCCESS, for the mail is out') or diag $job->{error};
is_deeply($job->{result}, {status => 'partial', subject => 'To many', message_id => $job->{id}, accepted_count => 60, rejected_count => 1, truncated => true}, '... and the result counts them');
is((message_of($job))[0]{envelope}{to}[59], 'a60@example.com', '... all of them got it');
like(join("\n", map { $_->{message} } @{$tf->job($job->{id})->{logs}}), qr/^refused\@example\.com: 550 /m, '... and the log says who did not');

# ---- settings
for my $case (
    [TASKFORGE_SMTP_URL => 'http://mail.test', qr/TASKFORGE_SMTP_URL is not smtp:/],
    [TASKFORGE_SMTP_URL => 'smtp://u:geheim@mail.test', qr/TASKFORGE_SMTP_URL must not hold the password/],
    [TASKFORGE_SMTP_URL => 'smtp://mail.test', qr/names no user, but TASKFORGE_SMTP_PASSWORD is set/],
    [TASKFORGE_SMTP_PASSWORD => '', qr/names a user, but TASKFORGE_SMTP_PASSWORD is not set/],
    [TASKFORGE_SMTP_STARTTLS => 'if-offered', qr/the password must not go over the network as it is/],
    [TASKFORGE_SMTP_STARTTLS => 'maybe', qr/"maybe" is none of required, if-offered and off/],
    [TASKFORGE_SMTP_CA_FILE => '/none.pem', qr{TASKFORGE_SMTP_CA_FILE: /none\.pem: No such file}],
    [TASKFORGE_EMAIL_FROM => 'nobody', qr/TASKFORGE_EMAIL_FROM: "nobody" has no @/],
    [TASKFORGE_EMAIL_FROM => '', qr/TASKFORGE_EMAIL_FROM is needed/],
    [TASKFORGE_EMAIL_TEMPLATES_DIR => '/none', qr{TASKFORGE_EMAIL_TEMPLATES_DIR: /none: No such file}],
) {
    my ($name, $value, $why) = @$case;
    local @ENV{keys %{$tf->{settings}}} = values %{$tf->{settings}};
    local $ENV{$name} = $value;
    my $said = `"$home/bin/taskforge-worker" -t 2>&1`;
    ok($? && $said =~ $why, "$name=$value: no worker starts") or diag $said;
    ok($said !~ /geheim|\Q$mail->{password}\E/, '... and no password is shown');
}

done_testing;
