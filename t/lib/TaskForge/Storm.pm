package TaskForge::Storm;

# Faults for a running stack: which, when and for how long follows from a seed alone. Each goes into the history, with the worker's
# incarnation or the process that it may cost an attempt.

use strict;
use warnings;
use File::Path qw(remove_tree);
use TaskForge::Files qw(slurp spew);
use TaskForge::Process qw(children_of run wait_until);
use TaskForge::Stack ();
use Time::HiRes qw(sleep time);

our @WORKERS = qw(worker worker2 worker3);
our @SCHEDULERS = qw(scheduler scheduler2 scheduler3);

# name, how often, what it acts upon (one of these; nothing else acts upon the same until it is over), seconds that it takes: from, to.
# begin_<name> begins it, end_<name>, where there is one, ends it.
my @FAULTS = (
    [worker_kill => 6, \@WORKERS, 0.2, 5],
    [worker_stop => 3, \@WORKERS, 1, 5],
    # until its jobs run elsewhere
    [worker_hang => 6, \@WORKERS, 7, 12],
    [worker_restart => 4, \@WORKERS, 0.2, 3],
    [worker_quiet => 3, \@WORKERS, 0.5, 4],
    [worker_resize => 3, \@WORKERS, 0.5, 4],
    [executor_kill => 8, \@WORKERS, 0, 0],
    [executor_stop => 3, \@WORKERS, 0.5, 4],
    [leader_kill => 4, ['schedulers'], 0.2, 4],
    [leader_stop => 3, ['schedulers'], 1, 8],
    [leader_restart => 2, ['schedulers'], 0.1, 1],
    [nginx_kill => 4, ['nginx'], 0, 0],
    [nginx_stop => 2, ['nginx'], 0.5, 3],
    [nginx_reload => 2, ['nginx'], 0, 0],
    [redis_kill => 3, ['redis'], 0, 3],
    [redis_stop => 2, ['redis'], 0.5, 5],
    [redis_flush => 2, ['redis'], 0, 0],
    [redis_empty => 2, ['redis'], 0, 2],
    [redis_old => 3, ['redis'], 1, 6],
    [redis_full => 2, ['redis'], 1, 4],
    [redis_oom => 2, ['redis'], 1, 4],
    [postgres_kill => 4, ['postgres'], 0, 2],
    [postgres_away => 1, ['postgres'], 5, 9],
    [postgres_stop => 2, ['postgres'], 0.5, 8],
    [relay_cut => 2, ['nchan'], 0.2, 3],
    [clock => 4, ['clock of worker3', 'clock of scheduler3'], 1, 8],
    [queue_pause => 3, ['queue side'], 0.5, 3],
);
# what of this is done where the library is missing: docs/reliability.md
our ($FAKETIME) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';

# The faults of this seed in $seconds, in order: {at, seconds, what, part, dice}. dice: a number that decides the rest
sub plan {
    my ($seed, $seconds) = @_;
    srand $seed;
    my @wheel = map { ($_) x $_->[1] } @FAULTS;
    my (@plan, %busy);
    for (my $at = 1 + rand 2; $at < $seconds; $at += 0.2 + rand 1.6) {
        my ($what, undef, $parts, $from, $to) = @{$wheel[rand @wheel]};
        my ($part, $lasts, $dice) = ($parts->[rand @$parts], $from + rand($to - $from), int rand 1e6);
        next if ($busy{$part} // 0) > $at;
        # PostgreSQL and a started part need a moment
        $busy{$part} = $at + $lasts + 1;
        push @plan, {at => $at, seconds => $lasts, what => $what, part => $part, dice => $dice};
    }
    srand; # what else is random here is to differ
    return @plan;
}

sub describe { my ($fault) = @_; return sprintf '%6.1f s  %-14s %-20s %.1f s', @$fault{qw(at what part seconds)} }

# tf: with all @WORKERS and @SCHEDULERS started by start_all; history
sub new {
    my ($class, %o) = @_;
    return bless {odd => [], stopped => {}, down => {}, %o}, $class;
}

# Starts what the plan acts upon; one worker and one scheduler have a clock of their own.
sub start_all {
    my ($self) = @_;
    for my $name (@WORKERS, @SCHEDULERS) {
        $self->set_clock($name, 0);
        $self->{down}{$name} = 1;
        $self->up($name);
    }
    return;
}

sub clock_file { my ($self, $name) = @_; return "$self->{tf}{home}/conf/$name.clock" }
sub set_clock { my ($self, $name, $seconds) = @_; return spew($self->clock_file($name), sprintf "%+d\n", $seconds) }

sub settings {
    my ($self, $name) = @_;
    return () if !$FAKETIME || $TaskForge::Stack::SANITIZED || $name !~ /3$/;
    return (LD_PRELOAD => $FAKETIME, FAKETIME_TIMESTAMP_FILE => $self->clock_file($name), FAKETIME_DONT_FAKE_MONOTONIC => 1,
        FAKETIME_CACHE_DURATION => 1);
}

# libfaketime leaves these behind when its process is killed.
sub DESTROY { my ($self) = @_; local $?; unlink map { ("/dev/shm/faketime_shm_$_", "/dev/shm/sem.faketime_sem_$_") } @{$self->{pids}}; return }

# Carries the plan out, each fault at its time; returns when the last one is over.
sub carry_out {
    my ($self, @plan) = @_;
    my $from = time;
    my @steps = map { ([$_->{at}, begin => $_], [$_->{at} + $_->{seconds}, end => $_]) } @plan;
    while (@steps) {
        @steps = sort { $a->[0] <=> $b->[0] } @steps;
        my ($at, $edge, $fault) = @{shift @steps};
        my $wait = $from + $at - time;
        sleep $wait if $wait > 0;
        my $do = $self->can("${edge}_$fault->{what}") or next;
        $self->look_for_dead;
        $self->{history}->note('step', step => $edge, what => $fault->{what}, part => $fault->{part});
        my $again = $self->$do($fault);
        push @steps, [time - $from + 0.2, $edge, $fault] if ($again // '') eq 'again';
    }
    return;
}

# Puts everything right again; returns what ended that nobody had killed.
sub heal {
    my ($self) = @_;
    $self->look_for_dead;
    for my $name (grep { $self->{down}{$_} } sort keys %{$self->{down}}) {
        $self->up($name);
    }
    for my $name (@WORKERS) {
        wait_until(30, sub { ($self->order_worker({part => $name}, 'resume') // 0) == 202 }, 0.2) or push @{$self->{odd}}, "$name cannot be resumed";
    }
    wait_until(30, sub { $self->order('resume') }, 0.2) or push @{$self->{odd}}, 'the queue "side" cannot be resumed';
    return @{$self->{odd}};
}

sub look_for_dead {
    my ($self) = @_;
    my $parts = $self->{tf}{parts};
    for my $name (grep { !$self->{down}{$_} && !$parts->{$_}->alive } sort keys %$parts) {
        push @{$self->{odd}}, "$name ended by itself, status $parts->{$name}{status}:\n" . $self->{tf}->tail($name);
        $self->up($name);
    }
    return;
}

sub up {
    my ($self, $name) = @_;
    my $tf = $self->{tf};
    if ($name =~ /^worker/) {
        # one fault may have ended while another one was about the same worker
        return delete $self->{down}{$name} if $tf->{parts}{$name} && $tf->{parts}{$name}->alive;
        # it may have to wait for PostgreSQL
        $tf->{parts}{$name} = $tf->launch_daemon($name, $self->settings($name));
    } else {
        $tf->start_part($name, $self->settings($name));
    }
    push @{$self->{pids}}, $tf->part($name)->pid // ();
    delete $self->{down}{$name};
    return;
}

sub down { my ($self, $name) = @_; $self->{down}{$name} = 1; return $self->{tf}->kill_part($name) }
sub part { my ($self, $name) = @_; return $self->{tf}->part($name) }

# ---- workers

# What a worker holds now may be taken from it without its fault.
sub hit {
    my ($self, $name) = @_;
    my @registered = slurp("$self->{tf}{home}/log/$name.log") =~ /"event":"worker_registered".*?"incarnation":(\d+)/g;
    $self->{history}->note('fault', incarnation => $registered[-1] + 0) if @registered;
    return;
}

sub executors { my ($self, $name) = @_; my $pid = $self->part($name)->pid; return $pid ? children_of($pid) : () }

sub begin_worker_kill { my ($self, $fault) = @_; $self->hit($fault->{part}); return $self->down($fault->{part}) }
sub end_worker_kill   { my ($self, $fault) = @_; return $self->up($fault->{part}) }
sub begin_worker_stop { my ($self, $fault) = @_; $self->hit($fault->{part}); return $self->part($fault->{part})->signal('STOP') }
sub end_worker_stop   { my ($self, $fault) = @_; return $self->part($fault->{part})->signal('CONT') }

sub begin_worker_hang { my ($self, $fault) = @_; return $self->begin_worker_stop($fault) }
sub end_worker_hang   { my ($self, $fault) = @_; return $self->end_worker_stop($fault) }

# One that has only just been started would die of the signal.
sub begin_worker_restart {
    my ($self, $fault) = @_;
    my $worker = $self->part($fault->{part});
    wait_until(30, sub { TaskForge::Stack::takes_signals($worker) || !$worker->alive });
    $self->{down}{$fault->{part}} = 1;
    $worker->signal('TERM');
    return;
}

# It leaves within its time, with status 0 unless PostgreSQL was away meanwhile.
sub end_worker_restart {
    my ($self, $fault) = @_;
    my $worker = $self->part($fault->{part});
    return 'again' if $worker->alive && ($fault->{asked} //= time) > time - 30;
    my $complaint = $worker->stop(0);
    if ($complaint) {
        $self->hit($fault->{part});
        push @{$self->{odd}}, $complaint . "\n" . $self->{tf}->tail($fault->{part}) unless time - ($self->{postgres_away} // 0) < 30;
    }
    return $self->up($fault->{part});
}

# An order to it over the API; it may fail, as those of people do in such weather.
sub order_worker {
    my ($self, $fault, $order, $body) = @_;
    my $host = $self->{tf}->worker_host($fault->{part});
    my $http = $self->{tf}->http(timeout => 3);
    return eval {
        my ($worker) = grep { $_->{hostname} eq $host } @{$http->get('/api/v1/workers')->json->{items}} or return;
        $http->post("/api/v1/workers/$worker->{id}/$order", $body)->status;
    };
}

sub begin_worker_quiet  { my ($self, $fault) = @_; return $self->order_worker($fault, 'quiet') }
sub end_worker_quiet    { my ($self, $fault) = @_; return $self->order_worker($fault, 'resume') }
sub begin_worker_resize { my ($self, $fault) = @_; return $self->order_worker($fault, 'concurrency', {concurrency => 1 + $fault->{dice} % 6}) }
sub end_worker_resize   { my ($self, $fault) = @_; return $self->order_worker($fault, 'concurrency', {concurrency => 5}) }

sub begin_executor_kill {
    my ($self, $fault) = @_;
    my @executors = $self->executors($fault->{part}) or return;
    my $pid = $executors[$fault->{dice} % @executors];
    $self->{history}->note('fault', pid => $pid + 0);
    return kill 'KILL', $pid;
}

sub begin_executor_stop {
    my ($self, $fault) = @_;
    my @executors = $self->executors($fault->{part}) or return;
    $fault->{pid} = $executors[$fault->{dice} % @executors];
    return kill 'STOP', $fault->{pid};
}

sub end_executor_stop { my ($self, $fault) = @_; return $fault->{pid} && kill 'CONT', $fault->{pid} }

# ---- schedulers

# The one that was elected last and not deposed since; any, if none was.
sub leader {
    my ($self) = @_;
    my ($leader, $last) = ($SCHEDULERS[0], '');
    for my $name (@SCHEDULERS) {
        my (@said) = slurp("$self->{tf}{home}/log/$name.log") =~ /"ts":"([^"]+)"[^\n]*"event":"(started|leader_elected|leader_deposed)"/g;
        my ($ts, $event) = @said[-2, -1] or next;
        ($leader, $last) = ($name, $ts) if $event eq 'leader_elected' && $ts gt $last;
    }
    return $leader;
}

sub begin_leader_kill { my ($self, $fault) = @_; return $self->down($fault->{name} = $self->leader) }
sub end_leader_kill   { my ($self, $fault) = @_; return $self->up($fault->{name}) }
sub begin_leader_stop { my ($self, $fault) = @_; return $self->part($fault->{name} = $self->leader)->signal('STOP') }
sub end_leader_stop   { my ($self, $fault) = @_; return $self->part($fault->{name})->signal('CONT') }

sub begin_leader_restart {
    my ($self, $fault) = @_;
    my $name = $fault->{name} = $self->leader;
    my $complaint = $self->part($name)->stop;
    $self->{down}{$name} = 1;
    push @{$self->{odd}}, $complaint if $complaint;
    return;
}

sub end_leader_restart { my ($self, $fault) = @_; return $self->up($fault->{name}) }

# ---- nginx

sub nginx_worker { my ($self, $fault) = @_; my @workers = $self->{tf}->nginx_workers; return $workers[$fault->{dice} % @workers] }

sub begin_nginx_kill   { my ($self, $fault) = @_; return kill 'KILL', $self->nginx_worker($fault) }
sub begin_nginx_stop   { my ($self, $fault) = @_; return kill 'STOP', $fault->{pid} = $self->nginx_worker($fault) }
sub end_nginx_stop     { my ($self, $fault) = @_; return kill 'CONT', $fault->{pid} }
sub begin_nginx_reload { my ($self) = @_; return $self->part('nginx')->signal('HUP') }
sub begin_relay_cut    { my ($self) = @_; return $self->down('nchan') }
sub end_relay_cut      { my ($self) = @_; return $self->up('nchan') }

# ---- Redis

sub begin_redis_kill { my ($self) = @_; return $self->down('redis') }
sub end_redis_kill   { my ($self) = @_; return $self->up('redis') }
sub begin_redis_stop { my ($self) = @_; return $self->part('redis')->signal('STOP') }
sub end_redis_stop   { my ($self) = @_; return $self->part('redis')->signal('CONT') }
sub begin_redis_flush { my ($self) = @_; return $self->{tf}->redis('FLUSHALL') }

sub begin_redis_empty {
    my ($self) = @_;
    $self->down('redis');
    return $self->{tf}->wipe_redis;
}

sub end_redis_empty { my ($self) = @_; return $self->up('redis') }

# Its files as they are now come back in the end.
sub begin_redis_old {
    my ($self) = @_;
    my $home = $self->{tf}{home};
    remove_tree("$home/redis.old");
    return run('cp', '-a', "$home/redis", "$home/redis.old");
}

sub end_redis_old {
    my ($self) = @_;
    my $home = $self->{tf}{home};
    $self->down('redis');
    remove_tree("$home/redis");
    rename "$home/redis.old", "$home/redis" or die "$home/redis.old: $!";
    return $self->up('redis');
}

# MISCONF
sub begin_redis_full { my ($self) = @_; return $self->{tf}->redis_disk(1) }
sub end_redis_full   { my ($self) = @_; return $self->{tf}->redis_disk(0) }

# OOM
sub begin_redis_oom { my ($self) = @_; return $self->{tf}->redis(qw(CONFIG SET maxmemory 1)) }
sub end_redis_oom   { my ($self) = @_; return $self->{tf}->redis(qw(CONFIG SET maxmemory 256mb)) }

# ---- PostgreSQL

sub begin_postgres_kill {
    my ($self) = @_;
    $self->{history}->note('fault', postgres => 1);
    $self->{down}{postgres} = 1;
    $self->part('postgres')->stop(60, 'QUIT');
    return $self->{postgres_away} = time;
}

sub end_postgres_kill {
    my ($self) = @_;
    $self->up('postgres');
    return $self->{postgres_away} = time;
}

sub begin_postgres_away { my ($self) = @_; return $self->begin_postgres_kill }
sub end_postgres_away   { my ($self) = @_; return $self->end_postgres_kill }

# All of its processes.
sub begin_postgres_stop {
    my ($self, $fault) = @_;
    my $pid = $self->part('postgres')->pid;
    $self->{postgres_away} = time;
    kill 'STOP', @{$fault->{pids} = [$pid, children_of($pid)]};
    return;
}

sub end_postgres_stop {
    my ($self, $fault) = @_;
    kill 'CONT', @{$fault->{pids}};
    $self->{postgres_away} = time;
    return;
}

# ---- others

# Up to an hour ahead or behind.
sub begin_clock { my ($self, $fault) = @_; return $self->set_clock($fault->{part} =~ /of (\w+)/, $fault->{dice} % 7200 - 3600) }
sub end_clock   { my ($self, $fault) = @_; return $self->set_clock($fault->{part} =~ /of (\w+)/, 0) }

sub order { my ($self, $order) = @_; return (eval { $self->{tf}->http(timeout => 3)->post("/api/v1/queues/side/$order", undef)->status } // 0) == 200 }
sub begin_queue_pause { my ($self) = @_; return $self->order('pause') }
sub end_queue_pause   { my ($self) = @_; return $self->order('resume') }

1;
