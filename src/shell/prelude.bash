# The beginning of every script under bash. Names with `__trc_` are trc's own and are not part of
# the boot state. Whatever options a script sets (`set -eu`, posix, its own IFS), these functions
# must do no harm: none ends with a failing command, or uses an unset name.

# __trc_line LEVEL NAME TEXT: prints a line in the format of the log, if the level is shown.
__trc_line() {
    ((__trc_level >= $1)) || return 0
    local __trc_t __trc_ns=$__trc_stage/$BASHPID
    if [[ $__trc_json ]]; then __trc_object "$2" "$3"; return 0; fi
    if [[ $__trc_plain ]]; then builtin printf '%s\n' "$3" || :; return 0; fi
    [[ $__trc_stage != boot ]] || __trc_ns=main/$MAINPID
    builtin printf -v __trc_t '%(%Y-%m-%d %H:%M:%S)T' -1
    builtin printf '%s %s [%s]: %s\n' "$__trc_t" "$SELF_NAME" "$__trc_ns" "$3" || :
}
__trc_object() {
    local now=${EPOCHREALTIME-} time zone text unit
    if [[ $now ]]; then
        # The decimal point depends on the locale.
        builtin printf -v time '%(%Y-%m-%dT%H:%M:%S)T.%.3s' "${now%[.,]*}" "${now#*[.,]}"
    else
        builtin printf -v time '%(%Y-%m-%dT%H:%M:%S)T.000' -1
    fi
    builtin printf -v zone '%(%z)T' -1
    __trc_quote text "$2"
    __trc_quote unit "${TRC_UNIT-}"
    builtin printf '{"time":"%s%s:%s","level":"%s","unit":"%s","stage":"%s","pid":%s,"message":"%s"}\n' \
        "$time" "${zone:0:3}" "${zone:3}" "$1" "$unit" "$__trc_stage" "$BASHPID" "$text" || :
}
# __trc_quote VARIABLE TEXT: sets the variable to the text, escaped for a JSON string.
__trc_quote() {
    local __trc_q=$2 __trc_b='\' __trc_c __trc_e __trc_i
    __trc_q=${__trc_q//"$__trc_b"/"$__trc_b$__trc_b"}
    __trc_q=${__trc_q//'"'/"$__trc_b"'"'}
    __trc_q=${__trc_q//$'\n'/"$__trc_b"n}
    __trc_q=${__trc_q//$'\t'/"$__trc_b"t}
    if [[ $__trc_q == *[[:cntrl:]]* ]]; then
        for __trc_i in {1..31} 127; do
            builtin printf -v __trc_e '%sx%02x' "$__trc_b" "$__trc_i"
            builtin printf -v __trc_c '%b' "$__trc_e"
            builtin printf -v __trc_e '%su%04x' "$__trc_b" "$__trc_i"
            __trc_q=${__trc_q//"$__trc_c"/"$__trc_e"}
        done
    fi
    builtin printf -v "$1" %s "$__trc_q"
}
# __trc_call FUNCTION ARGUMENT…
__trc_call() {
    local IFS=' '
    case $1 in
        say)
            if ((__trc_level >= 3)); then
                if [[ $__trc_json ]]; then __trc_object info "${*:2}"; else builtin echo "${@:2}" || :; fi
            fi
            ;;
        log) __trc_line 3 info "${*:2}" ;;
        warn) __trc_line 2 warn "${*:2}" >&2 ;;
        err) __trc_line 1 error "${*:2}" >&2 ;;
        debug) if [[ $__trc_json ]]; then __trc_line 4 debug "${*:2}"; else __trc_line 4 debug " - ${*:2}"; fi ;;
    esac
    return 0
}

# The functions that scripts call. `2>&-` hides from the trace that tracing stops: /dev/null may
# not exist.
say() { { __trc_x=$-; set +x; } 2>&-; __trc_call say "$@"; [[ $__trc_x != *x* ]] || set -x; }
log() { { __trc_x=$-; set +x; } 2>&-; __trc_call log "$@"; [[ $__trc_x != *x* ]] || set -x; }
warn() { { __trc_x=$-; set +x; } 2>&-; __trc_call warn "$@"; [[ $__trc_x != *x* ]] || set -x; }
err() { { set +x; } 2>&-; __trc_call err "$@"; exit 1; }
debug() { { __trc_x=$-; set +x; } 2>&-; __trc_call debug "$@"; [[ $__trc_x != *x* ]] || set -x; }
run() { builtin command "$@"; }

# __trc_failing STATUS LINE COMMAND: notes the place of a failed command, for an ERR trap. If the
# command is in a function, the line is that of the function's call in the script itself. The
# function fails if `set -e` is on.
__trc_failing() {
    __trc_failed=$1 __trc_line=$2 __trc_command=$3 __trc_function=
    local __trc_f=$((${#FUNCNAME[@]} - 1))
    [[ ${FUNCNAME[__trc_f]} != __trc_unit ]] || __trc_f=$((__trc_f - 1))
    [[ ! $__trc_sourced ]] || __trc_f=$((__trc_f - 1))
    if ((__trc_f > 0)); then
        __trc_function=${FUNCNAME[1]}
        __trc_line=${BASH_LINENO[__trc_f]}
    fi
    [[ $- != *e* ]]
}
# Reports this to trc at once if the script is a test, which has a descriptor for it.
__trc_tell() {
    if [[ $__trc_stage = test && $BASHPID = "$$" ]]; then
        builtin printf '\0trc-failed\0%s\0%s\0%s\0' "$__trc_line" "$__trc_function" \
            "${__trc_command%%$'\n'*}" >&3
    fi
    return 1
}
