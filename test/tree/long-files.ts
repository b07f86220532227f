// Files above the line limit, each with the reason why it has no second concern to split off.
export const LINE_LIMIT = 400

export const LONG_FILES: Readonly<Record<string, string>> = {}
