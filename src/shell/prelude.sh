# The beginning of every script under a POSIX shell; see prelude.bash. POSIX has neither `local`
# nor arrays, so trc's own names begin with `__trc_`.

# __trc_line LEVEL NAME TEXT
__trc_line() {
    [ "$__trc_level" -ge "$1" ] || return 0
    if [ "$__trc_json" ]; then __trc_object "$2" "$3"; return 0; fi
    if [ "$__trc_plain" ]; then command printf '%s\n' "$3" || :; return 0; fi
    __trc_t=$(command date '+%Y-%m-%d %H:%M:%S' 2>&-) || __trc_t='????-??-?? ??:??:??'
    case $__trc_stage in
        boot) __trc_ns=main/$MAINPID ;;
        *) __trc_ns=$__trc_stage/$$ ;;
    esac
    command printf '%s %s [%s]: %s\n' "$__trc_t" "$SELF_NAME" "$__trc_ns" "$3" || :
}
__trc_object() {
    # Only GNU and busybox know %N. Otherwise, as without `date`, there are no milliseconds.
    __trc_t=$(command date '+%Y-%m-%dT%H:%M:%S.%N%z' 2>&-) || __trc_t=
    case $__trc_t in
        *.[0-9]*[+-]????) __trc_z=${__trc_t#*.?????????} __trc_t=${__trc_t%??????[+-]????} ;;
        ?*) __trc_z=${__trc_t#"${__trc_t%?????}"} __trc_t=${__trc_t%%.*}.000 ;;
    esac
    if [ "$__trc_t" ]; then
        __trc_t="\"$__trc_t${__trc_z%??}:${__trc_z#???}\""
    else
        __trc_t=null
    fi
    __trc_quote "$2"; __trc_text=$__trc_quoted
    __trc_quote "${TRC_UNIT-}"
    command printf '{"time":%s,"level":"%s","unit":"%s","stage":"%s","pid":%s,"message":"%s"}\n' \
        "$__trc_t" "$1" "$__trc_quoted" "$__trc_stage" "$$" "$__trc_text" || :
}
# __trc_quote TEXT: sets __trc_quoted to the text, escaped for a JSON string.
__trc_quote() {
    __trc_rest=$1
    __trc_quoted=
    while :; do
        __trc_head=${__trc_rest%%[\"\\[:cntrl:]]*}
        __trc_quoted=$__trc_quoted$__trc_head
        [ "$__trc_head" != "$__trc_rest" ] || return 0
        __trc_rest=${__trc_rest#"$__trc_head"}
        __trc_c=${__trc_rest%"${__trc_rest#?}"}
        __trc_rest=${__trc_rest#?}
        case $__trc_c in
            '"' | '\') __trc_quoted=$__trc_quoted\\$__trc_c ;;
            *) __trc_quoted=$__trc_quoted$(command printf '\\u%04x' "'$__trc_c") ;;
        esac
    done
}
# __trc_call FUNCTION ARGUMENT…
__trc_call() {
    __trc_f=$1
    shift
    __trc_i=${IFS-unset} IFS=' '
    __trc_message=$*
    if [ "$__trc_i" = unset ]; then unset IFS; else IFS=$__trc_i; fi
    case $__trc_f in
        say)
            if [ "$__trc_level" -ge 3 ]; then
                if [ "$__trc_json" ]; then
                    __trc_object info "$__trc_message"
                else
                    command echo "$@" || :
                fi
            fi
            ;;
        log) __trc_line 3 info "$__trc_message" ;;
        warn) __trc_line 2 warn "$__trc_message" >&2 ;;
        err) __trc_line 1 error "$__trc_message" >&2 ;;
        debug)
            [ "$__trc_json" ] || __trc_message=" - $__trc_message"
            __trc_line 4 debug "$__trc_message"
            ;;
    esac
    return 0
}
__trc_resume() { case $__trc_x in *x*) set -x ;; esac; }
say() { { __trc_x=$-; set +x; } 2>&-; __trc_call say "$@"; __trc_resume; }
log() { { __trc_x=$-; set +x; } 2>&-; __trc_call log "$@"; __trc_resume; }
warn() { { __trc_x=$-; set +x; } 2>&-; __trc_call warn "$@"; __trc_resume; }
err() { { set +x; } 2>&-; __trc_call err "$@"; exit 1; }
debug() { { __trc_x=$-; set +x; } 2>&-; __trc_call debug "$@"; __trc_resume; }
run() { command "$@"; }
