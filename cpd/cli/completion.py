"""``cpd completion``: the script by which a shell completes cpd's words."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

app = typer.Typer()

BASH = r"""# Completes the words of cpd. To have it in every shell: cpd completion bash > ~/.bash_completion.d/cpd
# and source that, or put into ~/.bashrc: eval "$(cpd completion bash)"
_cpd_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" word ahead="" found
    # bash cuts words at "=" and ":"; cpd does not, and is asked for the word as it was typed.
    word="${line##*[[:space:]]}"
    if [[ "$word" == --*=* ]]; then
        ahead="${word%%=*}="
    fi
    local cut="${word%"${word##*[=:]}"}"
    COMPREPLY=()
    while IFS= read -r found; do
        found="$ahead${found%%$'\t'*}"
        [[ -n "$found" ]] && COMPREPLY+=("${found#"$cut"}")
    done < <(_CPD_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TYPER_COMPLETE_ARGS="$line" cpd 2>/dev/null)
    if [[ "${COMPREPLY[0]-}" == *[=/:] && ${#COMPREPLY[@]} == 1 ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o default -F _cpd_completion cpd
"""

ZSH = r"""#compdef cpd
# Completes the words of cpd. To have it in every shell, into a folder of $fpath: cpd completion zsh > _cpd
# or into ~/.zshrc, behind compinit: eval "$(cpd completion zsh)"
_cpd() {
    local line="${(j: :)words[1,CURRENT]}" ahead="" found
    local -a lines values shown
    [[ "${words[CURRENT]}" == --*=* ]] && ahead="${words[CURRENT]%%=*}="
    lines=("${(@f)$(_CPD_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TYPER_COMPLETE_ARGS="$line" cpd 2>/dev/null)}")
    for found in $lines; do
        [[ -z "$found" ]] && continue
        values+=("$ahead${found%%$'\t'*}")
        shown+=("${found/$'\t'/  -- }")
    done
    if (( ! ${#values} )); then
        _files
        return
    fi
    local -a open closed open_shown closed_shown
    local k
    for k in {1..${#values}}; do
        if [[ "${values[k]}" == *[=/:] ]]; then
            open+=("${values[k]}"); open_shown+=("${shown[k]}")
        else
            closed+=("${values[k]}"); closed_shown+=("${shown[k]}")
        fi
    done
    (( ${#open} )) && compadd -S '' -l -d open_shown -a open
    (( ${#closed} )) && compadd -l -d closed_shown -a closed
}
if [[ "${funcstack[1]-}" == "_cpd" ]]; then
    _cpd "$@"
else
    compdef _cpd cpd
fi
"""

FISH = r"""# Completes the words of cpd. To have it in every shell:
# cpd completion fish > ~/.config/fish/completions/cpd.fish
function __cpd_completion
    set -l word (commandline -ct)
    set -l line (string join ' ' -- (commandline -cpo) "$word")
    set -l ahead ''
    string match -q -- '--*=*' "$word"; and set ahead (string replace -r '=.*' '=' -- "$word")
    set -l found (env _CPD_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TYPER_COMPLETE_ARGS="$line" cpd 2>/dev/null | string match -v -- '')
    if test (count $found) -gt 0
        printf '%s\n' "$ahead"$found
    else
        __fish_complete_path "$word"
    end
end
complete --command cpd --no-files --arguments '(__cpd_completion)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


@app.command(short_help="Print the script by which a shell completes cpd's words.")
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="bash|zsh|fish", help="Which shell.")],
) -> None:
    """Print the script by which a shell completes commands, options, tasks, methods, sweeps and keys.

    Example: cpd completion bash >> ~/.bashrc
    """
    print(SCRIPTS[shell], end="")
