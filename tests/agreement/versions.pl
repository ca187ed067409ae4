#!/usr/bin/perl
# Holds `holdpoint vercmp deb|rpm` against the owners' own tools on generated pairs.
#
#   versions.pl HOLDPOINT [PAIRS [SEED]]
#
# Debian: `dpkg --compare-versions` costs a process for each question, so it answers every twentieth pair; the same
# project's Dpkg::Version answers all of them. RPM: the vercmp of `rpm`, a process for each 500 pairs. Nothing is
# installed; a tool that is absent skips its half with a reason. Exit code 1 when an answer differs.
use strict;
use warnings;

my ($holdpoint, $pairs, $seed) = @ARGV;
die "usage: versions.pl HOLDPOINT [PAIRS [SEED]]\n" unless defined $holdpoint;
$pairs //= 100_000;
$seed //= 20260501;
srand($seed);
my $failed = 0;

sub pick { return $_[int rand @_] }

# Pieces that the orders treat apart: numbers with and without zeros, letters, signs of each kind.
my @pieces = (0 .. 12, '00', '01', '007', 100, 99999999999999999999, qw(a b Z rc beta git20240101 deb ubuntu el fc));
my @deb_signs = ('.', '.', '.', '+', '~', '~~', '-', '');
my @rpm_signs = ('.', '.', '.', '_', '+', '~', '^', '');

sub text {
    my ($signs, $most) = @_;
    my $text = int rand 20;
    $text .= pick(@$signs) . pick(@pieces) for 1 .. int rand $most;
    return $text;
}

sub deb {
    my $epoch = rand() < 0.2 ? int(rand 3) . ':' : '';
    my $revision = rand() < 0.7 ? '-' . text([grep { $_ ne '-' } @deb_signs], 4) : '';
    my $upstream = text(\@deb_signs, 5);
    $upstream =~ s/-//g unless $revision;
    return "$epoch$upstream$revision";
}

sub rpm {
    my $epoch = rand() < 0.2 ? int(rand 3) . ':' : '';
    my $release = rand() < 0.7 ? '-' . text(\@rpm_signs, 3) : '';
    return $epoch . text(\@rpm_signs, 5) . $release;
}

# Strangers differ at once; what is worth asking differs late.
sub near {
    my ($version, $make, @signs) = @_;
    my $way = int rand 8;
    return $make->() if $way < 2;
    return $version if $way == 2;
    return $version . pick(@signs) . pick(@pieces) if $way < 5;
    my @digits = $version =~ /\d+/g;
    my $at = int rand @digits;
    my $seen = 0;
    $version =~ s/(\d+)/$seen++ == $at ? ($way == 5 ? "0$1" : int rand 20) : $1/ge;
    return $version;
}

sub ours {
    my ($scheme, $asked) = @_;
    my $file = "/tmp/holdpoint-agreement-$$";
    open my $in, '>', $file or die "$file: $!\n";
    print {$in} "$_->[0]\t$_->[1]\n" for @$asked;
    close $in or die "$file: $!\n";
    my @signs = map { (split /\t/)[0] } qx("$holdpoint" vercmp $scheme - < "$file");
    unlink $file;
    die "holdpoint answered @{[scalar @signs]} of @{[scalar @$asked]} lines\n" unless @signs == @$asked;
    return @signs;
}

sub compare {
    my ($name, $asked, $ours, $theirs) = @_;
    my ($differ, %answers) = (0);
    for my $at (grep { defined $theirs->[$_] } 0 .. $#$asked) {
        $answers{$theirs->[$at]}++;
        next if $ours->[$at] eq $theirs->[$at];
        printf "  %s: %s %s: ours %s, theirs %s\n", $name, @{$asked->[$at]}, $ours->[$at], $theirs->[$at] if $differ++ < 20;
    }
    my $all = grep { defined } @$theirs;
    printf "%s: %d pairs, %d differ (%s)\n", $name, $all, $differ, join ', ', map { "$_ $answers{$_}" } sort keys %answers;
    $failed = 1 if $differ || !$all;
}

my %sign = (-1 => '<', 0 => '=', 1 => '>');

if (eval { require Dpkg::Version; 1 }) {
    my @asked;
    while (@asked < $pairs) {
        my $one = deb();
        my $two = near($one, \&deb, '.', '+', '~');
        # What dpkg refuses is for the vectors.
        push @asked, [$one, $two] if Dpkg::Version->new($one)->is_valid && Dpkg::Version->new($two)->is_valid;
    }
    my @ours = ours('deb', \@asked);
    my @theirs = map { $sign{ Dpkg::Version::version_compare(@$_) } } @asked;
    compare('deb, Dpkg::Version', \@asked, \@ours, \@theirs);
    if (qx(dpkg --version 2>/dev/null)) {
        my @sampled;
        for my $at (grep { $_ % 20 == 0 } 0 .. $#asked) {
            my ($one, $two) = @{$asked[$at]};
            my $is = sub { system('dpkg', '--compare-versions', $one, $_[0], $two) == 0 };
            $sampled[$at] = $is->('lt') ? '<' : $is->('eq') ? '=' : '>';
        }
        compare('deb, dpkg --compare-versions', \@asked, \@ours, \@sampled);
    } else {
        print "deb: skipped dpkg itself, it is not here\n";
    }
} else {
    print "deb: skipped, Dpkg::Version (libdpkg-perl) is not here\n";
}

if (qx(rpm --version 2>/dev/null)) {
    my @asked;
    push @asked, do { my $one = rpm(); [$one, near($one, \&rpm, '.', '~', '^', '_')] } while @asked < $pairs;
    # A hyphen may separate one release only.
    @asked = grep { !grep { tr/-// > 1 } @$_ } @asked;
    my @theirs;
    my @rest = @asked;
    while (my @batch = splice @rest, 0, 500) {
        my $list = join ',', map { "{'$_->[0]','$_->[1]'}" } @batch;
        my $program = "%{lua: for _, p in ipairs({$list}) do print(rpm.vercmp(p[1], p[2]), ' ') end}";
        open my $out, '-|', 'rpm', '--eval', $program or die "rpm: $!\n";
        my $text = join ' ', <$out>;
        close $out or die "rpm ended with $?\n";
        push @theirs, map { $sign{$_} } $text =~ /-?\d+/g;
    }
    die "rpm answered @{[scalar @theirs]} of @{[scalar @asked]} pairs\n" unless @theirs == @asked;
    compare('rpm, rpm.vercmp', \@asked, [ours('rpm', \@asked)], \@theirs);
} else {
    print "rpm: skipped, rpm is not here\n";
}
exit $failed;
