# For boot scripts only. The state goes to descriptor 57, a memfd: first the state in which the shell
# started, and then, at its exit, the state in which the script left it. This uses builtins only,
# because an image may have nothing else. NUL ends a field.

__trc_surroundings() {
    builtin umask; builtin printf '\0'
    builtin pwd; builtin printf '\0'
    builtin ulimit -S -a; builtin printf '\0'
    builtin ulimit -H -a; builtin printf '\0'
} 2>&-
__trc_options=$SHELLOPTS
__trc_shopts=$BASHOPTS
{ __trc_surroundings; } >&57

# __trc_save STATUS OPTIONS [ARGUMENT…]: called by the EXIT trap. Its standard error is the memfd,
# too, where a trace of this call does no harm.
__trc_save() {
    builtin set +x
    __trc_status=$1
    __trc_flags=$2
    if [[ $BASHPID != "$$" ]]; then
        :
    elif [[ $__trc_status != 0 ]]; then
        if [[ ${__trc_failed-} = "$__trc_status" ]]; then
            builtin printf '\0trc-failed\0%s\0%s\0%s\0' "$__trc_line" "$__trc_function" "$__trc_command" >&57
        fi
    elif [[ $__trc_keep ]]; then
        builtin shift 2
        {
            builtin printf '\0trc-state\0'
            builtin printf '%s\0' "$__trc_flags" "$__trc_options" "$SHELLOPTS" "$__trc_shopts" "$BASHOPTS"
            __trc_surroundings
            builtin declare -p; builtin printf '\0'
            builtin declare -F; builtin printf '\0'
            builtin declare -f; builtin printf '\0'
            builtin alias -p; builtin printf '\0'
            builtin printf '%s\0' "$#" "$@" end
        } >&57
    fi
    case $__trc_flags in *x*) builtin set -x ;; esac
    return "$__trc_status"
}
# The status of the trap must stay that of the script, for commands that a script adds to the trap.
# `&&` keeps `set -e` from ending the trap.
__trc_at_exit='{ __trc_save "$?" "$-" "$@" && :; } 2>&57'
builtin trap "$__trc_at_exit" EXIT

# A script's own EXIT trap is added to ours instead of replacing it. In posix mode
# (`POSIXLY_CORRECT`, or `posix` in `SHELLOPTS`), `trap` is a special builtin, which an alias can
# replace and a function cannot.
if [[ -o posix ]]; then
    alias trap=__trc_alias
    __trc_alias() { { __trc_x=$-; set +x; } 2>&-; __trc_trap "$@"; }
else
    eval 'trap() { { __trc_x=$-; set +x; } 2>&-; __trc_trap "$@"; }'
fi
__trc_trap() {
    if ((BASH_SUBSHELL > 0)) || [[ ${1-} = -[lpP]* || $# -eq 0 ]]; then
        builtin trap "$@"
        __trc_status=$?
    else
        __trc_status=0
        [[ $1 != -- ]] || builtin shift
        __trc_action=-
        # With one operand, or a number in front, all operands are conditions to reset.
        [[ $# -eq 1 || $1 = - || $1 =~ ^[0-9]+$ ]] || __trc_action=$1
        [[ $# -eq 1 || $1 =~ ^[0-9]+$ ]] || builtin shift
        for __trc_signal; do
            case $__trc_signal in
                0 | [Ee][Xx][Ii][Tt] | [Ss][Ii][Gg][Ee][Xx][Ii][Tt])
                    builtin trap "$__trc_at_exit${__trc_action:+; ${__trc_action#-}}" EXIT
                    ;;
                *) builtin trap -- "$__trc_action" "$__trc_signal" || __trc_status=$? ;;
            esac
        done
    fi
    if [[ $__trc_status != 0 ]]; then
        case $__trc_x in *x*) set -x ;; esac
        return "$__trc_status"
    fi
    # No command may follow `set -x`: it would be in the trace.
    [[ $__trc_x != *x* ]] || set -x
}
