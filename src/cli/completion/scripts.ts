import type { shells } from '../../api/catalogue/comfort.ts'
import { completeWord } from './complete-word.ts'

type Shell = (typeof shells)[number]

/**
 * Nothing that a node or a peer says is ever evaluated by the shell: candidates are read line by line and handed over as they are (`compgen -W` would expand them).
 */
const bash = `# Completion of synaptic-mesh for bash 3.2 and newer:  source <(synaptic-mesh p2p completion bash)
_synaptic_mesh() {
  local current="\${COMP_WORDS[COMP_CWORD]}" tab=$'\\t' line name
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :files | :folders)
        compopt -o filenames 2> /dev/null
        while IFS= read -r name; do COMPREPLY+=("$name"); done < <(
          if [ "$line" = :files ]; then compgen -f -- "$current"; else compgen -d -- "$current"; fi
        )
        ;;
      ?*) COMPREPLY+=("\${line%%"$tab"*}") ;;
    esac
  done < <("\${COMP_WORDS[0]/#\\~/$HOME}" ${completeWord} "$COMP_CWORD" "\${COMP_WORDS[@]}" 2> /dev/null)
}
complete -F _synaptic_mesh synaptic-mesh
`

const zsh = `#compdef synaptic-mesh
# Completion of synaptic-mesh for zsh:  source <(synaptic-mesh p2p completion zsh)
_synaptic_mesh() {
  local tab=$'\\t' line
  local -a values abouts
  while IFS= read -r line; do
    case "$line" in
      :files) _files ;;
      :folders) _files -/ ;;
      ?*) values+=("\${line%%$tab*}"); abouts+=("\${line/$tab/  }") ;;
    esac
  done < <("\${words[1]}" ${completeWord} "$((CURRENT - 1))" "\${words[@]}" 2> /dev/null)
  (( \${#values} )) && compadd -l -d abouts -a -- values
}
if [ "$funcstack[1]" = "_synaptic_mesh" ]; then _synaptic_mesh "$@"; else compdef _synaptic_mesh synaptic-mesh; fi
`

const fish = `# Completion of synaptic-mesh for fish:  synaptic-mesh p2p completion fish > ~/.config/fish/completions/synaptic-mesh.fish
function __synaptic_mesh
  set -l words (commandline -opc) (commandline -ct)
  for line in (command synaptic-mesh ${completeWord} (math (count $words) - 1) $words 2> /dev/null)
    switch "$line"
      case ':files'
        __fish_complete_path (commandline -ct)
      case ':folders'
        __fish_complete_directories (commandline -ct)
      case '*'
        printf '%s\\n' "$line"
    end
  end
end
complete -c synaptic-mesh -f -a '(__synaptic_mesh)'
`

/** The script of each shell. */
export const scripts: Readonly<Record<Shell, string>> = { bash, zsh, fish }
