// Small pictures of maps over the part of the photo that the network saw. They are drawn when there is time.

const SMALL = 112;

/** Pixels of the part of an image that the network saw, small. */
function smallPixels(image, data, side) {
  const crop = data.crop || [0, 0, 1, 1], { naturalWidth: wide, naturalHeight: high } = image;
  return partPixels(image, crop, ...fine((crop[2] * wide) / (crop[3] * high), side));
}

/** The same at a size; in grey paper where it is no part of the image. */
function partPixels(image, part, width, height) {
  const crop = part || [0, 0, 1, 1], canvas = make("canvas");
  [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "#808080";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(image, (-crop[0] * width) / crop[2], (-crop[1] * height) / crop[3], width / crop[2], height / crop[3]);
  return pen.getImageData(0, 0, width, height);
}

/** A small canvas with a name. */
function thumb(pixels, label) {
  const canvas = make("canvas");
  [canvas.width, canvas.height] = [pixels.width, pixels.height];
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  return canvas;
}

/** Draw a map into a small canvas. */
function drawThumb(canvas, map, { pixels, common, unit, smooth, opacity }) {
  const over = paintedOver(pixels, grow(map, pixels.width, pixels.height, smooth), { unit, drawing: common.drawing });
  canvas.getContext("2d").putImageData(laid(pixels, over, opacity), 0, 0);
}

/** Do many small things without holding up the page: some at a time, and only the last order of its kind. */
class Queue {
  constructor() { this.turn = 0; }

  run(acts) {
    const turn = ++this.turn, rest = [...acts];
    const some = () => {
      const end = performance.now() + 8;
      while (turn === this.turn && rest.length && performance.now() < end) rest.shift()();
      if (turn === this.turn && rest.length) setTimeout(some);
    };
    setTimeout(some);
  }
}

/** A layer's name where there is little place: its end says more than its beginning. */
function ending(name, most = 11) {
  return name.length > most ? `…${name.slice(1 - most)}` : name;
}

/** Length of what all names begin with, up to their last common dot. */
function commonPrefix(names) {
  let length = names[0].lastIndexOf(".") + 1;
  while (length && !names.every((name) => name.length > length && name.startsWith(names[0].slice(0, length)))) length = names[0].lastIndexOf(".", length - 2) + 1;
  return length;
}
