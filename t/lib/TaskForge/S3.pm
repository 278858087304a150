package TaskForge::S3;

# An object store on loopback that speaks as much of S3 as data_pipeline does, and checks signatures (AWS Signature Version 4) by
# itself. Objects are files in a directory of its own; what is below /public/ is served to anybody.

use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(hmac_sha256 hmac_sha256_hex sha256_hex);
use File::Path qw(make_path remove_tree);
use JSON::PP ();
use parent 'TaskForge::Server';
use TaskForge::Files qw(slurp spew);

our $PART_MIN = 5 << 20;

# dir: a directory that is there; access_key, secret_key, region: those that signatures must be made with.
sub start {
    my ($class, $dir, %o) = @_;
    make_path("$dir/s3/objects", "$dir/s3/uploads");
    return $class->launch(['127.0.0.2'], access_key => 'AKIATEST', secret_key => 'not/a+real=secret', region => 'eu-test-1', %o, dir => "$dir/s3",
        log => "$dir/s3.requests");
}

sub endpoint { my ($self) = @_; return $self->url('', '127.0.0.2') }

# What TASKFORGE_CONNECTIONS_DIR needs to know of it.
sub connection {
    my ($self, %o) = @_;
    return JSON::PP->new->canonical->encode({s3 => {endpoint => $self->endpoint, region => $self->{region}, access_key => $self->{access_key},
        secret_key => $self->{secret_key}, buckets => ['lake'], write => JSON::PP::true(), path_style => JSON::PP::true(), %o}});
}

sub file_of { my ($self, $name) = @_; return "$self->{dir}/objects/" . unpack 'H*', $name }

# name: bucket/key. The object, undef if there is none; or puts it there.
sub object {
    my ($self, $name, $content) = @_;
    my $file = $self->file_of($name);
    if (defined $content) {
        spew("$file.new", $content);
        rename "$file.new", $file or die "$file: $!\n";
        return $content;
    }
    return -e $file ? slurp($file) : undef;
}

# Uploads that were begun and neither completed nor aborted.
sub uploads { my ($self) = @_; return map { m{/([^/]+)$} } glob "$self->{dir}/uploads/*" }

# "PUT /lake/key?query 200 bytes=0-" of every request so far.
sub requests { my ($self) = @_; return -e $self->{log} ? split /\n/, slurp($self->{log}) : () }

sub respond {
    my ($self, $client, $r) = @_;
    my ($status, $text, @headers) = $self->decide($r);
    open my $out, '>>', $self->{log} or die "$self->{log}: $!";
    syswrite $out, join(' ', $r->{method}, $r->{target}, $status, $r->{headers}{range} // ()) . "\n";
    close $out;
    return $self->reply($client, $r, $status, $text, @headers);
}

sub refusal { my ($status, $code) = @_; return ($status, "<?xml version=\"1.0\"?><Error><Code>$code</Code><Message>No &amp; no.</Message></Error>") }

# The signature made anew from what came over the wire, as the S3 API reference has it.
sub signed {
    my ($self, $r) = @_;
    my ($key, $day, $region, $service, $names, $signature) = ($r->{headers}{authorization} // '') =~
        m{^AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$} or return 0;
    return 0 if $key ne $self->{access_key} || $region ne $self->{region} || $service ne 's3';
    my $content = $r->{headers}{'x-amz-content-sha256'} // '';
    return 0 if $content ne sha256_hex($r->{body}) || !grep { $_ eq 'host' } split /;/, $names;
    my $time = $r->{headers}{'x-amz-date'} // '';
    return 0 if $time !~ /^\Q$day\ET\d{6}Z$/;
    my $query = join '&', sort map { /=/ ? $_ : "$_=" } split /&/, $r->{query};
    my $canonical = join "\n", $r->{method}, $r->{path}, $query, (map { "$_:$r->{headers}{$_}" } split /;/, $names), '', $names, $content;
    my $text = join "\n", 'AWS4-HMAC-SHA256', $time, "$day/$region/s3/aws4_request", sha256_hex($canonical);
    my $secret = "AWS4$self->{secret_key}";
    $secret = hmac_sha256($_, $secret) for $day, $region, 's3', 'aws4_request';
    return hmac_sha256_hex($text, $secret) eq $signature;
}

sub decide {
    my ($self, $r) = @_;
    my $name = substr $r->{path}, 1;
    $name =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    return $self->get($name, $r) if $r->{method} eq 'GET' && $name =~ m{^public/};
    return refusal(403, 'SignatureDoesNotMatch') unless $self->signed($r);
    my %query = map { my ($k, $v) = split /=/, $_, 2; ($k => $v // '') } split /&/, $r->{query};
    return $self->get($name, $r) if $r->{method} =~ /^(?:GET|HEAD)$/;
    return $self->begin($name, $r) if $r->{method} eq 'POST' && exists $query{uploads};
    if (exists $query{uploadId}) {
        my $upload = "$self->{dir}/uploads/$query{uploadId}";
        return refusal(404, 'NoSuchUpload') unless $query{uploadId} =~ /^\w+$/ && -d $upload && slurp("$upload/name") eq $name;
        return $self->part($upload, $query{partNumber}, $r) if $r->{method} eq 'PUT';
        return $self->complete($upload, $name, $r) if $r->{method} eq 'POST';
        remove_tree($upload);
        return (204, '');
    }
    return refusal(405, 'MethodNotAllowed') unless $r->{method} eq 'PUT';
    $self->object($name, $r->{body});
    $self->object("$name\0job", $r->{headers}{'x-amz-meta-taskforge-job'} // '');
    return (200, '', 'ETag: "' . md5_hex($r->{body}) . '"');
}

sub get {
    my ($self, $name, $r) = @_;
    my $content = $self->object($name) // return refusal(404, 'NoSuchKey');
    my @headers = ('ETag: "' . md5_hex($content) . '"', 'x-amz-meta-taskforge-job: ' . ($self->object("$name\0job") // ''));
    if (($r->{headers}{range} // '') =~ /^bytes=(\d+)-$/) {
        return (416, '', @headers) if $1 >= length $content;
        return (206, substr($content, $1), @headers, "Content-Range: bytes $1-" . (length($content) - 1) . '/' . length $content);
    }
    return (200, $content, @headers);
}

sub begin {
    my ($self, $name, $r) = @_;
    my $id = join '', map { ('a' .. 'z')[rand 26] } 1 .. 20;
    my $upload = "$self->{dir}/uploads/$id";
    mkdir $upload or die "$upload: $!";
    spew("$upload/name", $name);
    spew("$upload/job", $r->{headers}{'x-amz-meta-taskforge-job'} // '');
    return (200, "<InitiateMultipartUploadResult><UploadId>$id</UploadId></InitiateMultipartUploadResult>");
}

sub part {
    my ($self, $upload, $number, $r) = @_;
    return refusal(400, 'InvalidArgument') unless ($number // '') =~ /^[1-9]\d*$/ && $number <= 10_000;
    spew("$upload/part.$number", $r->{body});
    return (200, '', 'ETag: "' . md5_hex($r->{body}) . '"');
}

sub complete {
    my ($self, $upload, $name, $r) = @_;
    my @parts = $r->{body} =~ m{<Part><PartNumber>(\d+)</PartNumber><ETag>([^<]+)</ETag></Part>}g;
    my $content = '';
    my $last = 0;
    while (my ($number, $etag) = splice @parts, 0, 2) {
        my $part = -e "$upload/part.$number" ? slurp("$upload/part.$number") : undef;
        return refusal(400, 'InvalidPartOrder') if $number <= $last;
        return refusal(400, 'InvalidPart') if !defined $part || $etag ne '"' . md5_hex($part) . '"';
        # S3 says this with 200
        return refusal(200, 'EntityTooSmall') if @parts && length $part < $PART_MIN;
        $content .= $part;
        $last = $number;
    }
    return refusal(400, 'MalformedXML') unless $last;
    $self->object($name, $content);
    $self->object("$name\0job", slurp("$upload/job"));
    remove_tree($upload);
    return (200, '<CompleteMultipartUploadResult/>');
}

1;
