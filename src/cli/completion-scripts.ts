/**
 * What a shell needs to complete our command line: a few lines that ask `tsstack __complete WORDS…` for candidates, so that
 * commands, flags and names of services are known in one place. Pure.
 */
export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `# bash completion of tsstack:  source <(tsstack completion bash)
_tsstack() {
  local IFS=$'\\n'
  COMPREPLY=($(tsstack __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  if [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == :files ]]; then
    COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
  fi
}
complete -F _tsstack tsstack
`,
  zsh: `#compdef tsstack
# zsh completion of tsstack:  source <(tsstack completion zsh)
_tsstack() {
  local -a candidates
  candidates=("\${(@f)$(tsstack __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ "\${candidates[1]}" == :files ]]; then _files; else compadd -- "\${candidates[@]}"; fi
}
compdef _tsstack tsstack
`,
  fish: `# fish completion of tsstack:  tsstack completion fish | source
function __tsstack_complete
  set -l found (tsstack __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)
  if test "$found" = :files
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $found
  end
end
complete -c tsstack -f -a '(__tsstack_complete)'
`,
}

export function completionScript(shell: Shell): string {
  return SCRIPTS[shell]
}
