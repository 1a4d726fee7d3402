/** JSON spelled by escapes: a parser reads the same. */

/** Spells letters and underscores in the strings of a JSON text by escapes, those that `chosen` names. */
export const spelledByEscapes = (json: string, chosen: () => boolean = () => true): string =>
  json.replace(/"(?:[^"\\]|\\.)*"/gs, (quoted) =>
    quoted.replace(/\\u[0-9a-f]{4}|\\.|[A-Za-z_]/gis, (part) =>
      part.length > 1 || !chosen() ? part : `\\u00${part.charCodeAt(0).toString(16)}`,
    ),
  );

/** The same for the data of server-sent events. */
export const spelledStream = (frames: string, chosen?: () => boolean): string =>
  frames.replace(/^data: (.*)$/gm, (_line, data: string) => `data: ${spelledByEscapes(data, chosen)}`);
