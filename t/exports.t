# The module exports what nginx loads, the worker what plug-ins may call, and nothing that others could bind to by accident.
use strict;
use warnings;
use FindBin;
use Test::More;

my $build = $ENV{TASKFORGE_BUILD} // "$FindBin::Bin/../build";
my $module = "$build/ngx_http_taskforge_module.so";
ok(-e $module, 'the module is built') or BAIL_OUT("$module: not there; run make");

sub exported {
    my ($file) = @_;
    open my $nm, '-|', 'nm', '-D', '--defined-only', $file or die "nm: $!";
    my @symbols = sort map { (split)[2] } <$nm>;
    close $nm or die "nm: $?";
    return @symbols;
}

my @symbols = exported($module);
# the sanitizers of a SANITIZE build need symbols of their own to be seen
@symbols = grep { !/^__(asan|odr_asan|ubsan|start_asan|stop_asan)/ } @symbols if $build =~ /-asan\/?\z/;
is("@symbols", 'ngx_module_names ngx_module_order ngx_modules', 'the module exports ngx_modules, ngx_module_names and ngx_module_order alone');

open my $in, '<', "$FindBin::Bin/../worker/plugin.h" or die "plugin.h: $!";
my @interface = sort map { /^TFW_API .*?(tfw_\w+)\(/ ? $1 : () } <$in>;
# the others are the linker's
is(join(' ', grep { /^tf/ } exported("$build/taskforge-worker")), "@interface", 'the worker exports the functions of plugin.h alone');

open my $ldd, '-|', 'ldd', $module or die "ldd: $!";
my @needed = <$ldd>;
close $ldd;
is(scalar(grep {/libhiredis/} @needed), 0, 'hiredis is inside, not shared with other modules');
is(scalar(grep {/not found/} @needed), 0, 'every library is found');

done_testing;
