// Meshes of glb files: parsing, and drawing with one WebGL context into any number of canvases.
const VERTEX = `#version 300 es
in vec3 place; in vec3 normal; uniform mat4 see; uniform vec3 right, up, back; out vec3 facing;
void main() { facing = vec3(dot(normal, right), dot(normal, up), dot(normal, back)); gl_Position = see * vec4(place, 1.0); gl_PointSize = 3.0; }`;
const FRAGMENT = `#version 300 es
precision highp float; in vec3 facing; out vec4 colour;
void main() {
  vec3 n = normalize(facing); if (!gl_FrontFacing) n = -n;
  float key = max(dot(n, normalize(vec3(-0.45, 0.75, 0.6))), 0.0), fill = max(dot(n, normalize(vec3(0.8, 0.1, 0.5))), 0.0);
  float sky = 0.5 + 0.5 * n.y, rim = pow(1.0 - max(n.z, 0.0), 3.0);
  vec3 light = vec3(0.20, 0.22, 0.26) * (0.6 + sky) + vec3(0.74, 0.70, 0.64) * key + vec3(0.12, 0.14, 0.18) * fill + vec3(0.10) * rim;
  colour = vec4(pow(vec3(0.72, 0.74, 0.78) * light, vec3(0.85)), 1.0);
}`;
const GROUND_VERTEX = `#version 300 es
in vec3 place; uniform mat4 see; uniform vec4 ground; out vec2 at;
void main() { at = place.xz; gl_Position = see * vec4(ground.x + place.x * ground.w, ground.y, ground.z + place.z * ground.w, 1.0); }`;
const GROUND_FRAGMENT = `#version 300 es
precision highp float; in vec2 at; out vec4 colour;
void main() { float a = 0.24 * pow(max(1.0 - length(at), 0.0), 1.6); colour = vec4(0.0, 0.0, 0.0, a); }`;
const FIELD_OF_VIEW = 0.5; // radians
export const START = { azimuth: 0.6, elevation: 0.34, distance: 1 };

/** Vertices, normals and indices of a glb file; empty if it has no surface. */
export function read(buffer) {
  const view = new DataView(buffer);
  const length = view.getUint32(12, true);
  const gltf = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 20, length)));
  const part = gltf.meshes?.[0]?.primitives?.[0];
  if (!part) return { places: new Float32Array(0), normals: new Float32Array(0), order: null, points: false };
  const start = 28 + length;
  const array = (number, Kind, width) => {
    const accessor = gltf.accessors[number], slice = gltf.bufferViews[accessor.bufferView];
    const offset = start + (slice.byteOffset ?? 0) + (accessor.byteOffset ?? 0);
    return new Kind(buffer.slice(offset, offset + accessor.count * width * Kind.BYTES_PER_ELEMENT));
  };
  const places = array(part.attributes.POSITION, Float32Array, 3);
  const kind = part.indices === undefined ? null : gltf.accessors[part.indices].componentType === 5125 ? Uint32Array : Uint16Array;
  const order = kind && array(part.indices, kind, 1);
  const normals = part.attributes.NORMAL === undefined ? smooth(places, order) : array(part.attributes.NORMAL, Float32Array, 3);
  return { places, normals, order, points: part.mode === 0 };
}

function smooth(places, order) {
  const normals = new Float32Array(places.length);
  for (let i = 0; order && i < order.length; i += 3) {
    const [a, b, c] = [order[i] * 3, order[i + 1] * 3, order[i + 2] * 3];
    const u = [0, 1, 2].map((k) => places[b + k] - places[a + k]), v = [0, 1, 2].map((k) => places[c + k] - places[a + k]);
    const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    for (const at of [a, b, c]) for (let k = 0; k < 3; k++) normals[at + k] += n[k];
  }
  return normals;
}

/** Draws meshes; throws if the browser has no WebGL 2. */
export class Painter {
  constructor() {
    this.canvas = document.createElement("canvas");
    const gl = this.gl = this.canvas.getContext("webgl2", { antialias: true, alpha: true, premultipliedAlpha: true, preserveDrawingBuffer: true });
    if (!gl) throw new Error("this browser has no WebGL 2, which meshes require; enable hardware acceleration, or use another browser");
    this.solid = program(gl, VERTEX, FRAGMENT);
    this.ground = program(gl, GROUND_VERTEX, GROUND_FRAGMENT);
    this.floor = gl.createVertexArray();
    gl.bindVertexArray(this.floor);
    fill(gl, this.ground, "place", new Float32Array([-1, 0, -1, 1, 0, -1, -1, 0, 1, 1, 0, 1]));
    gl.bindVertexArray(null);
  }

  load(buffer) {
    const gl = this.gl, { places, normals, order, points } = read(buffer);
    const vertices = gl.createVertexArray();
    gl.bindVertexArray(vertices);
    const buffers = [fill(gl, this.solid, "place", places), fill(gl, this.solid, "normal", normals)];
    if (order) {
      buffers.push(gl.createBuffer());
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers[2]);
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, order, gl.STATIC_DRAW);
    }
    gl.bindVertexArray(null);
    const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
    for (let i = 0; i < places.length; i++) {
      low[i % 3] = Math.min(low[i % 3], places[i]);
      high[i % 3] = Math.max(high[i % 3], places[i]);
    }
    const count = order ? order.length : places.length / 3;
    const middle = low.map((value, k) => (value + high[k]) / 2);
    const reach = Math.max(Math.hypot(...low.map((value, k) => (high[k] - value) / 2)), 1e-3);
    const wide = Math.hypot(high[0] - low[0], high[2] - low[2]) / 2;
    const kind = order?.BYTES_PER_ELEMENT === 2 ? gl.UNSIGNED_SHORT : gl.UNSIGNED_INT;
    return { vertices, buffers, count, order: Boolean(order), kind, points, middle, reach, floor: low[1], wide };
  }

  drop(mesh) {
    this.gl.deleteVertexArray(mesh.vertices);
    for (const buffer of mesh.buffers) this.gl.deleteBuffer(buffer);
  }

  /** Draw a mesh on a canvas. */
  draw(mesh, camera, target) {
    const gl = this.gl, { width, height } = target;
    if (this.canvas.width < width || this.canvas.height < height) {
      this.canvas.width = Math.max(width, this.canvas.width);
      this.canvas.height = Math.max(height, this.canvas.height);
    }
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (mesh.count) this.paint(mesh, sight(mesh, camera, width / height), camera.elevation > 0);
    const context = target.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.drawImage(this.canvas, 0, this.canvas.height - height, width, height, 0, 0, width, height);
  }

  paint(mesh, { see, right, up, back }, grounded) {
    const gl = this.gl, place = (name, of = this.solid) => gl.getUniformLocation(of, name);
    gl.enable(gl.DEPTH_TEST);
    gl.useProgram(this.solid);
    gl.uniformMatrix4fv(place("see"), false, see);
    gl.uniform3fv(place("right"), right); gl.uniform3fv(place("up"), up); gl.uniform3fv(place("back"), back);
    gl.bindVertexArray(mesh.vertices);
    const mode = mesh.points ? gl.POINTS : gl.TRIANGLES;
    if (mesh.order) gl.drawElements(mode, mesh.count, mesh.kind, 0); else gl.drawArrays(mode, 0, mesh.count);
    if (grounded) {
      gl.useProgram(this.ground);
      gl.uniformMatrix4fv(place("see", this.ground), false, see);
      gl.uniform4f(place("ground", this.ground), mesh.middle[0], mesh.floor - 0.004 * mesh.reach, mesh.middle[2], mesh.wide * 1.35);
      gl.enable(gl.BLEND); gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
      gl.bindVertexArray(this.floor);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
      gl.disable(gl.BLEND);
    }
    gl.bindVertexArray(null);
  }
}

function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.bindAttribLocation(made, 0, "place"); gl.bindAttribLocation(made, 1, "normal");
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(`meshes cannot be drawn: ${gl.getProgramInfoLog(made)}`);
  return made;
}

function fill(gl, program, name, values) {
  const buffer = gl.createBuffer(), at = gl.getAttribLocation(program, name);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
  gl.enableVertexAttribArray(at);
  gl.vertexAttribPointer(at, 3, gl.FLOAT, false, 0, 0);
  return buffer;
}

function sight({ middle, reach }, { azimuth, elevation, distance }, aspect) {
  const [ca, sa, ce, se] = [Math.cos(azimuth), Math.sin(azimuth), Math.cos(elevation), Math.sin(elevation)];
  const right = [ca, 0, -sa], up = [-sa * se, ce, -ca * se], back = [sa * ce, se, ca * ce];
  const far = (1.02 * reach * distance) / Math.sin(FIELD_OF_VIEW / 2) / Math.min(1, aspect);
  const eye = middle.map((value, k) => value + far * back[k]);
  const dot = (axis) => -(axis[0] * eye[0] + axis[1] * eye[1] + axis[2] * eye[2]);
  const scale = 1 / Math.tan(FIELD_OF_VIEW / 2), near = Math.max(far - 3 * reach, far / 200), beyond = far + 4 * reach;
  const depth = (near + beyond) / (near - beyond), shift = (2 * near * beyond) / (near - beyond);
  const columns = [0, 1, 2].map((k) => [(right[k] * scale) / aspect, up[k] * scale, depth * back[k], -back[k]]);
  const see = new Float32Array([...columns.flat(), (dot(right) * scale) / aspect, dot(up) * scale, depth * dot(back) + shift, -dot(back)]);
  return { see, right, up, back };
}
