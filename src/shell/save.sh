# For boot scripts only, like save.bash. `@SAVE@` is the path of the memfd, because dash can name
# only descriptors 0 to 9, which belong to the script.

__trc_surroundings() {
    command umask; command printf '\0'
    command pwd; command printf '\0'
    for __trc_l in t f d s c m l p n v; do command ulimit -S "-$__trc_l" || echo; done
    command printf '\0'
    for __trc_l in t f d s c m l p n v; do command ulimit -H "-$__trc_l" || echo; done
    command printf '\0'
    set +o; command printf '\0'
} 2>&- # busybox has no `-p`
{ __trc_surroundings; } @SAVE@

# A subshell has the same $$. Only /proc distinguishes it from the shell itself.
__trc_self() {
    __trc_pid=$$
    if [ -r /proc/self/stat ]; then IFS=' ' read -r __trc_pid __trc_rest </proc/self/stat; fi
}
__trc_self
__trc_shell=$__trc_pid

# __trc_save STATUS OPTIONS LINE [ARGUMENT…]. In busybox, the line is that of the script, if its
# text is sourced. bash, called as `sh`, gives the line of the trap, and dash none.
__trc_save() {
    set +x
    __trc_status=$1
    __trc_flags=$2
    __trc_line=$3
    [ "$__trc_sourced" ] && [ -z "${BASH_VERSION-}" ] || __trc_line=
    __trc_self
    if [ "$__trc_pid" != "$__trc_shell" ]; then
        :
    elif [ "$__trc_status" != 0 ]; then
        if [ "$__trc_line" ]; then command printf '\0trc-failed\0%s\0\0\0' "$__trc_line" @SAVE@; fi
    elif [ "$__trc_keep" ]; then
        shift 3
        {
            command printf '\0trc-state\0'
            command printf '%s\0' "$__trc_flags"
            __trc_surroundings
            export -p; command printf '\0'
            readonly -p; command printf '\0'
            set; command printf '\0'
            command printf '%s\0' "$#" "$@" end
        } @SAVE@
    fi
    case $__trc_flags in *x*) set -x ;; esac
    return "$__trc_status"
}
__trc_at_exit='{ __trc_save "$?" "$-" "${LINENO-}" "$@" && :; } 2@SAVE@'
trap "$__trc_at_exit" EXIT

# `trap` is a special builtin, which an alias can replace and a function cannot.
__trc_trap() {
    { __trc_x=$-; set +x; } 2>&-
    __trc_status=0
    case ${1-} in
        '' | -[lpP]*) if [ $# -gt 1 ]; then __trc_action=; else trap "$@"; __trc_resume; return; fi ;;
    esac
    [ "${1-}" != -- ] || shift
    __trc_action=-
    case $#:${1-} in
        1:*) ;;
        *:*[!0-9]* | *:) __trc_action=$1; shift ;;
    esac
    for __trc_signal; do
        case $__trc_signal in
            0 | [Ee][Xx][Ii][Tt] | [Ss][Ii][Gg][Ee][Xx][Ii][Tt])
                trap "$__trc_at_exit${__trc_action:+; ${__trc_action#-}}" EXIT
                ;;
            *) trap -- "$__trc_action" "$__trc_signal" || __trc_status=$? ;;
        esac
    done
    if [ "$__trc_status" != 0 ]; then __trc_resume; return "$__trc_status"; fi
    __trc_resume
}
alias trap=__trc_trap
