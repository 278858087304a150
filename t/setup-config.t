#!/usr/bin/perl
# nginx's own build system makes the same module from ./config: it loads, and shows nginx's three names and no others.
use strict;
use warnings;
use Cwd 'abs_path';
use File::Basename 'dirname';
use File::Temp 'tempdir';
use Test::More;

my $root = abs_path(dirname(__FILE__) . '/..');
my $dir = tempdir('taskforge-config-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $nginx = '/usr/share/nginx/src';
-x "$nginx/configure" or plan skip_all => 'nginx-dev is not installed';

sub succeeds { # what, bash command
    my ($what, $command) = @_;
    my $ok = system('bash', '-c', "($command) >'$dir/log' 2>&1 </dev/null") == 0;
    ok $ok, $what or diag `tail -n 25 '$dir/log'`;
    return $ok;
}

succeeds('nginx configures with --add-dynamic-module', qq{
    cd $nginx && . ./conf_flags &&
    ./configure "\${NGX_CONF_FLAGS[@]}" --with-cc-opt='-O1 -g -fPIC' --add-dynamic-module='$root' --builddir='$dir/nginx'})
    or BAIL_OUT('nothing to build');
succeeds('... and makes the module, with its own warnings as errors',
    "make -j2 -f $dir/nginx/Makefile -C $nginx modules");
my $module = "$dir/nginx/ngx_http_taskforge_module.so";

my @names = sort map { (split)[2] } `nm -D --defined-only $module`;
is_deeply \@names, [qw(ngx_module_names ngx_module_order ngx_modules)], "it exports nginx's three names and nothing else";
unlike `readelf -d $module`, qr/hiredis/, 'hiredis is inside, not a library that another module could replace';
chomp(my $version = `cat '$root/VERSION'`);
ok scalar(grep { $_ eq "$version\n" } `strings $module`), 'it knows its version';

my $conf = "pid $dir/pid; error_log stderr; events {} http { access_log off; " .
    join(' ', map { "${_}_temp_path $dir/$_;" } qw(client_body proxy fastcgi uwsgi scgi)) .
    " server { listen unix:$dir/sock; } }\n";
my $nchan = '/usr/lib/nginx/modules/ngx_nchan_module.so';
for my $order ([$module], [$nchan, $module], [$module, $nchan]) {
    open my $file, '>', "$dir/nginx.conf" or die;
    print $file map({"load_module $_;\n"} @$order), $conf;
    close $file or die;
    succeeds('nginx loads it: ' . join(', ', map { m{([^/]*)\.so\z} } @$order), "PATH=\$PATH:/usr/sbin nginx -t -e stderr -c $dir/nginx.conf");
}

done_testing;
