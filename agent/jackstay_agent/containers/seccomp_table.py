"""The system calls that a container may make by default: one table, grouped by what they are for. Values only.

It allows what docker's default profile allows. What is not named is refused with EPERM, so that a new kernel's calls
are refused until somebody puts them here. Left out on purpose, for everyone: the kernel keyring (not namespaced),
io_uring (a long history of escapes), userfaultfd, kexec, swap, nfsservctl and other calls of old. A name that a
runtime's libseccomp does not know is passed over by it, and the call stays refused.
"""

from __future__ import annotations

ALWAYS: dict[str, str] = {
    "files by name": """
        access chdir chmod chown chown32 creat faccessat faccessat2 fchmodat fchmodat2 fchownat fstatat64 futimesat
        getcwd lchown lchown32 link linkat lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open
        openat openat2 readlink readlinkat rename renameat renameat2 rmdir stat stat64 statfs statfs64 statx symlink
        symlinkat truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes
    """,
    "files by descriptor": """
        _llseek close close_range copy_file_range dup dup2 dup3 fadvise64 fadvise64_64 fallocate fchdir fchmod fchown
        fchown32 fcntl fcntl64 fdatasync flock fstat fstat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 getdents
        getdents64 ioctl lseek pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readv
        sendfile sendfile64 splice sync sync_file_range syncfs tee vmsplice write writev cachestat
    """,
    "extended attributes": """
        fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr
        lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat
    """,
    "looking at mounts, which changes none": "listmount statmount",
    "waiting for events": """
        _newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
        epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch
        poll ppoll ppoll_time64 pselect6 pselect6_time64 select signalfd signalfd4
    """,
    "asynchronous I/O of old": """
        io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioprio_get ioprio_set
    """,
    "memory": """
        brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2
        mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages
    """,
    "processes and threads": """
        execve execveat exit exit_group fork get_robust_list get_thread_area getcpu getpgid getpgrp getpid getppid
        getpriority getrlimit getrusage getsid gettid pause pidfd_open pidfd_send_signal prctl prlimit64
        process_mrelease restart_syscall rseq seccomp set_robust_list set_thread_area set_tid_address setpgid
        setpriority setrlimit setsid sysinfo times ugetrlimit uname uretprobe vfork wait4 waitid waitpid
    """,
    "scheduling": """
        sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
        sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr
        sched_setparam sched_setscheduler sched_yield
    """,
    "reading and steering other processes; every kernel since 4.8 applies a container's own filter there": """
        process_vm_readv process_vm_writev ptrace
    """,
    "restricting oneself": "landlock_add_rule landlock_create_ruleset landlock_restrict_self",
    "signals": """
        kill rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
        rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn tgkill tkill
    """,
    "users and capabilities, bounded by those that the process has": """
        capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32
        getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
        setgroups32 setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32
    """,
    "time; adjtimex only reads without CAP_SYS_TIME": """
        adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
        clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create
        timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
        timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
    """,
    "locks between threads": "futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake",
    "talk between processes, in the container's own namespace": """
        ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
        mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
    """,
    "sockets; for socket itself see FAMILIES; socketcall, which no filter can look into, is for 32-bit programs": """
        accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64
        recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair
    """,
    "randomness": "getrandom",
    "asking the processor what it can": "riscv_hwprobe",
}

ON_MACHINE: dict[str, str] = {
    "x86_64": "arch_prctl modify_ldt",
    "aarch64": "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2",
    "ppc64le": "swapcontext sync_file_range2",
    "s390x": "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr",
    "riscv64": "riscv_flush_icache",
}
"""Calls that only one machine (as uname names it) has."""

WITH_CAPABILITY: dict[str, str] = {
    "CAP_BPF": "bpf",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYS_ADMIN": """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
        lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
        sethostname setns syslog umount umount2 unshare
    """,
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYSLOG": "syslog",
}
"""Calls that a capability, once given, is for."""

NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: clone may have none of them without CAP_SYS_ADMIN.

clone3 has its flags behind a pointer, which a filter cannot follow, so it answers ENOSYS and the C library takes clone.
"""

PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""PER_LINUX, PER_LINUX32, both with UNAME26, and asking for the present one; none that weakens the address layout."""

FAMILIES_BELOW = 38
FAMILIES = (39, 41, 42, 43, 44, 45)
"""Socket families allowed: those below 38, and NFC, KCM, QIPCRTR, SMC, XDP, MCTP.

Not AF_ALG (38: the kernel's cryptography, an attack surface nobody needs), not AF_VSOCK (40: to the hypervisor, not
namespaced). Above 38 each is named by itself: the kernel looks at the low 32 bits only, so that "greater than 40" would
let 2^32+40 through.
"""

ARCHITECTURES: dict[str, tuple[str, ...]] = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
    "ppc64le": ("SCMP_ARCH_PPC64LE",),
    "s390x": ("SCMP_ARCH_S390X", "SCMP_ARCH_S390"),
    "riscv64": ("SCMP_ARCH_RISCV64",),
}
"""What a machine runs: its own programs and the 32-bit ones. Any other architecture's call ends the process."""
