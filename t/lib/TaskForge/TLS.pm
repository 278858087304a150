package TaskForge::TLS;

# Certificates of a CA that lives as long as the test, connections that trust it alone, and a PostgreSQL that takes nobody
# without TLS.

use strict;
use warnings;
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use POSIX ();
use Socket qw(AF_UNIX PF_UNSPEC SOCK_STREAM);
use TaskForge::Files qw(give_away spew);
use TaskForge::Postgres qw(psql_file);
use TaskForge::Process qw(as_unprivileged run);
use TaskForge::Secrets qw(secret);

my $owner = $$;
my @directories;

# A CA of its own; {ca} is its certificate.
sub new {
    my ($class) = @_;
    my $dir = tempdir('tf-tls-XXXXXX', DIR => $ENV{TMPDIR} // '/tmp');
    push @directories, $dir;
    chmod 0755, $dir or die "$dir: $!\n";
    my $self = bless {dir => $dir, ca => "$dir/ca.pem", serial => 0, clients => []}, $class;
    run(qw(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=taskforge-test-ca
        -keyout), "$dir/ca.key", '-out', $self->{ca});
    return $self;
}

# A certificate and its key, which the servers' user alone may read: (file, file). name: the common name; subject: the
# alternative names ("IP:127.0.0.1,DNS:localhost"); password: of the key.
sub certificate {
    my ($self, $name, $subject, $password) = @_;
    my $file = "$self->{dir}/" . ++$self->{serial};
    local $ENV{TLS_KEY_PASSWORD} = $password // '';
    run(qw(openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out), "$file.key");
    if (defined $password) {
        rename "$file.key", "$file.plain" or die "$file.key: $!\n";
        # few iterations: each of the usual 2,048 allocates, which AddressSanitizer makes slow
        run(qw(openssl pkcs8 -topk8 -v2 aes-256-cbc -iter 16 -passout env:TLS_KEY_PASSWORD -in), "$file.plain", '-out', "$file.key");
        unlink "$file.plain";
    }
    run(qw(openssl req -new -passin env:TLS_KEY_PASSWORD -key), "$file.key", '-subj', "/CN=$name", '-out', "$file.csr");
    spew("$file.ext", "subjectAltName=$subject\n");
    run(qw(openssl x509 -req -days 2 -CA), $self->{ca}, '-CAkey', "$self->{dir}/ca.key", '-CAserial', "$self->{dir}/serial", '-CAcreateserial',
        '-extfile', "$file.ext", '-in', "$file.csr", '-out', "$file.pem");
    chmod 0600, "$file.key";
    give_away("$file.key", "$file.pem");
    return ("$file.pem", "$file.key");
}

# A connection to "localhost" at that port, to be read and written like a socket; protocol: by ALPN, "h2" or "http/1.1". Dies
# unless the server has a certificate of the CA.
sub client { # -nocommands: else s_client hangs up when what it reads at once happens to begin with a Q
    my ($self, $port, $protocol) = @_;
    socketpair(my $here, my $there, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!\n";
    my @command = as_unprivileged('KILL', qw(openssl s_client -quiet -no_ign_eof -nocommands -verify_return_error -verify_hostname localhost -servername localhost),
        '-CAfile', $self->{ca}, '-alpn', $protocol, '-connect', "127.0.0.1:$port");
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        open STDIN,  '<&', $there;
        open STDOUT, '>&', $there;
        open STDERR, '>', '/dev/null';
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    push @{$self->{clients}}, $pid;
    return $here;
}

# An address of this machine that no other test listens on, so that the usual ports are free there.
sub free_address { return join '.', 127, 10 + int rand 240, map { 1 + int rand 254 } 1 .. 2 }

# Makes the running PostgreSQL of a stack listen on an address, with the certificate and key, for clients with a certificate
# of the CA and a password, and for nobody else; returns after its restart. passwords: of the roles, {taskforge => '...'}.
sub postgres {
    my ($self, $tf, $address, $certificate, $key, %passwords) = @_;
    spew("$tf->{home}/conf/tls_hba.conf", "local all all peer map=taskforge\n"
            . "hostssl taskforge taskforge,taskforge_owner 127.0.0.0/8 scram-sha-256 clientcert=verify-ca\n");
    # not as an argument of psql
    spew("$self->{dir}/roles.sql", join '', map { "ALTER ROLE $_ PASSWORD '" . secret($passwords{$_}) . "';\n" } sort keys %passwords);
    chmod 0600, "$self->{dir}/roles.sql";
    psql_file("$tf->{home}/run", 'postgres', "$self->{dir}/roles.sql");
    my %setting = (listen_addresses => $address, hba_file => "$tf->{home}/conf/tls_hba.conf", ssl => 'on', ssl_ca_file => $self->{ca},
        ssl_cert_file => $certificate, ssl_key_file => $key);
    $tf->sql(map {"ALTER SYSTEM SET $_ = '$setting{$_}'"} sort keys %setting);
    $tf->stop_part('postgres');
    $tf->start_part('postgres');
    return;
}

END {
    if ($$ == $owner) {
        remove_tree($_) for @directories;
    }
}

1;
