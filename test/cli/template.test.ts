import { describe, expect, test } from 'vitest'
import { parseTemplate } from '../../src/cli/template/parse-template.ts'
import { renderTemplate } from '../../src/cli/template/render-template.ts'
import { formatRows } from '../../src/cli/format-option.ts'

const ROW = {
  Name: 'shop-web-1',
  State: 'running',
  ExitCode: 0,
  Health: '',
  Networks: ['front', 'back'],
  Publishers: [{ URL: '127.0.0.1', PublishedPort: 8080 }],
  Label: (key: string) => (key === 'com.example.team' ? 'red' : ''),
}

function render(template: string): string {
  return renderTemplate(parseTemplate(template), ROW)
}

describe('renderTemplate()', () => {
  test.each([
    ['{{.Name}}', 'shop-web-1'],
    ['{{ .Name }}: {{.State}}', 'shop-web-1: running'],
    ['{{upper .State}}', 'RUNNING'],
    ['{{.State | upper | lower}}', 'running'],
    ['{{title .State}}', 'Running'],
    ['{{json .Networks}}', '["front","back"]'],
    ['{{join .Networks ", "}}', 'front, back'],
    ['{{.Networks}}', '[front back]'],
    ['{{index (split .Name "-") 1}}', 'web'],
    ['{{len .Networks}}', '2'],
    ['{{truncate .Name 4}}|{{pad .State 1 2}}|', 'shop| running  |'],
    ['{{println .Name .ExitCode}}', 'shop-web-1 0\n'],
    ['{{printf "%s=%d %q" .Name .ExitCode .State}}', 'shop-web-1=0 "running"'],
    ['{{.Label "com.example.team"}}', 'red'],
    ['{{(index .Publishers 0).URL}}', undefined],
    ['{{if .Health}}{{.Health}}{{else}}none{{end}}', 'none'],
    ['{{if eq .State "exited"}}a{{else if ne .ExitCode 0}}b{{else}}c{{end}}', 'c'],
    ['{{if and .Name (not .Health)}}yes{{end}}', 'yes'],
    ['{{range .Publishers}}{{.URL}}:{{.PublishedPort}} {{end}}', '127.0.0.1:8080 '],
    ['{{range $}}', undefined],
    ['a  {{- .ExitCode -}}  b', 'a0b'],
    ['{{`raw`}} {{"quo\\"ted"}}', 'raw quo"ted'],
    ['{{/* no comments */}}', undefined],
    ['{{.Name', undefined],
    ['{{end}}', undefined],
    ['{{range .Networks}}', undefined],
    ['{{(upper .Name}}', undefined],
    ['{{nosuch .Name}}', undefined],
    ['{{.Name "argument"}}', undefined],
  ])('%s is %j', (template, expected) => {
    if (expected === undefined) expect(() => render(template)).toThrow('--format')
    else expect(render(template)).toBe(expected)
  })

  test('is bounded', () => {
    expect(() => render(`{{${'('.repeat(10_000)}.Name${')'.repeat(10_000)}}}`)).toThrow('too deep')
    expect(() => render('{{if .Name}}'.repeat(10_000))).toThrow('too deep')
  })
})

describe('formatRows() with a table template', () => {
  const listing = { rows: [ROW], jsonLines: true, titles: { ExitCode: 'EXIT CODE' } }

  test("has Docker's headers: titles, and the last word of a label", () => {
    const format =
      'table {{.Name}}\\t{{upper .State}}\\t{{.ExitCode}}\\t{{.Label "com.example.team"}}'
    expect(formatRows(format, listing)).toBe(
      'NAME         STATE     EXIT CODE   TEAM\nshop-web-1   RUNNING   0           red\n',
    )
  })

  test('has its header above no rows', () => {
    expect(formatRows('table {{.Name}}\\t{{.ExitCode}}', { ...listing, rows: [] })).toBe(
      'NAME   EXIT CODE\n',
    )
  })
})
