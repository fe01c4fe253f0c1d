import type { Style } from './style.ts'

/** Colours the text of a plan by what each line begins with: `+` made, `~` changed, `-` removed, `!` a warning. Pure. */
export function paintPlan(text: string, style: Style): string {
  return text
    .split('\n')
    .map((line) => {
      const sign = /^\s*(?:\d+\.?\s+)?(-\/\+|[+~!-])\s/.exec(line)?.[1]
      if (sign === '+') return style.green(line)
      if (sign === '~' || sign === '-/+') return style.yellow(line)
      if (sign === '-') return style.red(line)
      if (sign === '!' || line.startsWith('warning')) return style.yellow(line)
      return line
    })
    .join('\n')
}
