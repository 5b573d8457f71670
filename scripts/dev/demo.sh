# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# ./dev demo: the whole program once, in a real GIMP without a display. What happens in GIMP stands in
# scripts/demo.scm or scripts/demo.py, which finds in W2W_DEMO_OUT (and as w2w-demo-out in Script-Fu,
# which knows no environment) the folder to write to. It prints a line "STEP: what" as each step
# begins, from which the times come, and "DEMO OK" as the last one. Sourced by ../../dev.

# GIMP may hang for ever when a plug-in does; the demo's own work takes a minute or two.
demo_timeout=900

command_demo()
{
    local begin=$SECONDS set_up built status
    ensure_place
    set_up=$((SECONDS - begin)) begin=$SECONDS
    prepare_plugin
    built=$((SECONDS - begin))
    { mkdir -p "$demo_dir" && rm -f "$demo_dir"/demo.{xcf,png}; } || die "cannot write to $demo_dir."
    use_log demo
    run_demo_in_gimp
    status=$?
    if [ "$status" -eq 0 ] && ! { grep -qx "DEMO OK" "$log_file" && [ -s "$demo_dir/demo.xcf" ] &&
        [ -s "$demo_dir/demo.png" ]; }; then
        status=1
    fi
    case $status in
    0) ;;
    124) die_with_log "GIMP did not come to the demo's end within $demo_timeout s." ;;
    *)
        tail -n 15 "$log_file" | sed 's/^/    /' >&2
        die_with_log "the demo failed in GIMP." ;;
    esac
    say "Setting up took $set_up s, building $built s, GIMP as shown above."
    say "The layers: $demo_dir/demo.xcf"
    say "The strip:  $demo_dir/demo.png"
}

# The plug-in, built and installed into the private profile, or an end.
prepare_plugin()
{
    lock exclusive build_lock "$build_dir/lock" "is building here"
    build_or_die plugin
    install_plugin || die_with_log "the plug-in could not be installed into its private profile."
    unlock build_lock
}

run_demo_in_gimp()
{
    local status
    local -a batch
    if [ -e "$source_dir/scripts/demo.py" ]; then
        batch=(--batch-interpreter=python-fu-eval -b "exec(open('$source_dir/scripts/demo.py').read())")
    else
        batch=(--batch-interpreter=plug-in-script-fu-eval
               -b "(begin (define w2w-demo-out \"$demo_dir\") (load \"$source_dir/scripts/demo.scm\"))")
    fi
    set_environment build "$place"
    environment+=("W2W_DEMO_OUT=$demo_dir")
    run_in "$place" init "$demo_dir" timeout --kill-after=10 "$demo_timeout" \
        gimp-console --new-instance --no-interface --no-data --no-splash \
        --stack-trace-mode=never --quit "${batch[@]}" > >(show_steps) 2>>"$log_file" </dev/null
    status=$?
    wait $!
    return "$status"
}

# Passes what GIMP prints to the log; of it the user sees the steps and how long each took.
show_steps()
{
    local line step="GIMP starts" now since=${EPOCHREALTIME/[.,]/}
    while IFS= read -r line; do
        printf '%s\n' "$line" >>"$log_file"
        case $line in
        "STEP: "* | "DEMO OK")
            now=${EPOCHREALTIME/[.,]/}
            printf '  %s: %d.%d s\n' "$step" $(((now - since) / 1000000)) $(((now - since) / 100000 % 10)) >&2
            since=$now step=${line#STEP: }
            ;;
        esac
    done
}
