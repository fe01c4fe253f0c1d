/** Whether a variable of the environment switches something on, as Go reads booleans (strconv.ParseBool). */
export function isSwitchedOn(value: string | undefined): boolean {
  return /^(?:1|t|T|true|True|TRUE)$/.test(value ?? '')
}
