// Handwritten-like digits: strokes through jittered control points, bent and turned by a random
// affine map and a slow wave, drawn with a pen of random width.
//
// A stroke is a list of points in a box of 1 by 1 (x to the right, y down); a Catmull-Rom curve
// goes through them. Sharp corners are points given twice.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "runtime/data/generators.h"

namespace netc {
namespace {

struct Point {
    double x, y;
};
using Stroke = std::vector<Point>;
using Glyph = std::vector<Stroke>;

// The ways in which people write each digit. A stroke a line.
// clang-format off
const std::vector<Glyph>& glyphs_of(int digit) {
    static const std::array<std::vector<Glyph>, 10> kGlyphs = {{
        // 0: an oval; a narrow one that does not quite close
        {{{{0.55, 0.03}, {0.25, 0.15}, {0.14, 0.5}, {0.25, 0.86}, {0.5, 0.97}, {0.77, 0.84},
           {0.86, 0.5}, {0.76, 0.14}, {0.52, 0.03}}},
         {{{0.62, 0.08}, {0.36, 0.08}, {0.2, 0.36}, {0.22, 0.74}, {0.44, 0.97}, {0.7, 0.82},
           {0.8, 0.46}, {0.7, 0.14}, {0.5, 0.06}}}},
        // 1: a stroke; with a flag; with a foot
        {{{{0.52, 0.02}, {0.5, 0.5}, {0.48, 0.98}}},
         {{{0.28, 0.24}, {0.54, 0.03}, {0.54, 0.03}, {0.53, 0.5}, {0.52, 0.98}}},
         {{{0.3, 0.22}, {0.52, 0.03}, {0.52, 0.03}, {0.52, 0.96}}, {{0.28, 0.96}, {0.76, 0.96}}}},
        // 2: with a sharp corner at the foot; with a loop
        {{{{0.18, 0.26}, {0.32, 0.07}, {0.6, 0.03}, {0.8, 0.2}, {0.74, 0.42}, {0.46, 0.7},
           {0.16, 0.96}, {0.16, 0.96}, {0.5, 0.95}, {0.86, 0.94}}},
         {{{0.2, 0.2}, {0.42, 0.03}, {0.72, 0.1}, {0.78, 0.34}, {0.56, 0.62}, {0.28, 0.88},
           {0.16, 0.9}, {0.22, 0.76}, {0.42, 0.82}, {0.64, 0.96}, {0.88, 0.9}}}},
        // 3: two bows; a flat top
        {{{{0.18, 0.14}, {0.44, 0.02}, {0.74, 0.14}, {0.72, 0.36}, {0.42, 0.47}, {0.42, 0.47},
           {0.74, 0.56}, {0.8, 0.8}, {0.5, 0.98}, {0.16, 0.86}}},
         {{{0.18, 0.05}, {0.78, 0.05}, {0.78, 0.05}, {0.46, 0.4}, {0.46, 0.4}, {0.76, 0.52},
           {0.8, 0.8}, {0.52, 0.97}, {0.18, 0.88}}}},
        // 4: open; closed at the top
        {{{{0.24, 0.04}, {0.18, 0.34}, {0.2, 0.56}, {0.5, 0.58}, {0.84, 0.52}}, {{0.72, 0.06},
           {0.68, 0.5}, {0.64, 0.98}}},
         {{{0.66, 0.98}, {0.66, 0.03}, {0.66, 0.03}, {0.12, 0.66}, {0.12, 0.66}, {0.9, 0.66}}}},
        // 5: in one stroke; with the top bar last
        {{{{0.8, 0.05}, {0.3, 0.05}, {0.3, 0.05}, {0.24, 0.44}, {0.24, 0.44}, {0.54, 0.38},
           {0.82, 0.56}, {0.76, 0.86}, {0.44, 0.98}, {0.16, 0.88}}},
         {{{0.3, 0.08}, {0.26, 0.42}, {0.26, 0.42}, {0.6, 0.44}, {0.78, 0.66}, {0.66, 0.92},
           {0.36, 0.97}, {0.16, 0.88}}, {{0.3, 0.07}, {0.84, 0.04}}}},
        // 6: a curved back; a straight one
        {{{{0.72, 0.05}, {0.42, 0.18}, {0.22, 0.5}, {0.22, 0.8}, {0.46, 0.98}, {0.74, 0.86},
           {0.76, 0.62}, {0.52, 0.5}, {0.28, 0.62}, {0.22, 0.76}}},
         {{{0.6, 0.02}, {0.36, 0.36}, {0.2, 0.7}, {0.34, 0.95}, {0.64, 0.95}, {0.78, 0.74},
           {0.62, 0.56}, {0.36, 0.6}, {0.22, 0.76}}}},
        // 7: plain; curved; with a bar
        {{{{0.14, 0.07}, {0.84, 0.06}, {0.84, 0.06}, {0.58, 0.5}, {0.4, 0.98}}},
         {{{0.16, 0.14}, {0.22, 0.05}, {0.82, 0.06}, {0.82, 0.06}, {0.52, 0.44}, {0.42, 0.98}}},
         {{{0.14, 0.07}, {0.84, 0.06}, {0.84, 0.06}, {0.6, 0.5}, {0.44, 0.98}}, {{0.32, 0.5},
           {0.8, 0.48}}}},
        // 8: in one stroke that crosses itself; two circles
        {{{{0.74, 0.16}, {0.46, 0.03}, {0.24, 0.2}, {0.42, 0.42}, {0.7, 0.6}, {0.76, 0.84},
           {0.48, 0.98}, {0.22, 0.82}, {0.34, 0.58}, {0.64, 0.38}, {0.74, 0.16}}},
         {{{0.5, 0.03}, {0.27, 0.12}, {0.27, 0.36}, {0.5, 0.46}, {0.73, 0.36}, {0.73, 0.12},
           {0.5, 0.03}}, {{0.5, 0.46}, {0.2, 0.6}, {0.22, 0.88}, {0.5, 0.98}, {0.78, 0.88},
           {0.8, 0.6}, {0.5, 0.46}}}},
        // 9: with a straight stem; with a hook
        {{{{0.76, 0.22}, {0.5, 0.03}, {0.24, 0.2}, {0.26, 0.44}, {0.52, 0.52}, {0.74, 0.36},
           {0.77, 0.16}, {0.77, 0.16}, {0.74, 0.56}, {0.7, 0.98}}},
         {{{0.76, 0.2}, {0.52, 0.03}, {0.24, 0.18}, {0.28, 0.44}, {0.56, 0.5}, {0.76, 0.28},
           {0.76, 0.2}, {0.78, 0.6}, {0.64, 0.92}, {0.34, 0.96}}}},
    }};
    return kGlyphs[static_cast<std::size_t>(digit)];
}
// clang-format on

double lerp(double a, double b, double t) { return a + (b - a) * t; }

// The curve of Catmull and Rom through b and c, with a and d as neighbours.
Point curve(Point a, Point b, Point c, Point d, double t) {
    const auto at = [t](double p, double q, double r, double s) {
        return q + 0.5 * t * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)));
    };
    return {at(a.x, b.x, c.x, d.x), at(a.y, b.y, c.y, d.y)};
}

bool same(Point a, Point b) { return a.x == b.x && a.y == b.y; }

// Box to pixels: turned, sheared, stretched, bent by a slow wave, moved.
struct Placement {
    double xx, xy, yx, yy, x0, y0, bend, phase, frequency;

    Point operator()(Point p) const {
        const double u = p.x - 0.5 + bend * sin_turns(frequency * p.y + phase);
        const double v = p.y - 0.5 + bend * sin_turns(frequency * p.x + phase + 0.3);
        return {x0 + xx * u + xy * v, y0 + yx * u + yy * v};
    }
};

Placement random_placement(PhiloxStream& random) {
    const double turn = 0.032 * bell(random);
    const double shear = 0.14 * bell(random);
    const double height = random.uniform(16.5, 20.5);
    const double width = height * random.uniform(0.62, 1.0);
    const double c = cos_turns(turn), s = sin_turns(turn);
    Placement place{};
    place.xx = c * width;
    place.xy = (-s - c * shear) * height;
    place.yx = s * width;
    place.yy = (c - s * shear) * height;
    place.x0 = 14 + 1.1 * bell(random);
    place.y0 = 14 + 1.1 * bell(random);
    place.bend = 0.03 * bell(random);
    place.phase = random.uniform();
    place.frequency = random.uniform(0.4, 1.1);
    return place;
}

// Lays a straight piece of the pen's way on the image: a pixel's ink falls from 1 to 0 over one
// pixel at the edge.
void draw_segment(Point a, Point b, double radius, std::span<float, 784> image) {
    const double reach = radius + 0.5;
    const int left = std::max(0, static_cast<int>(std::floor(std::min(a.x, b.x) - reach)));
    const int right = std::min(27, static_cast<int>(std::ceil(std::max(a.x, b.x) + reach)));
    const int top = std::max(0, static_cast<int>(std::floor(std::min(a.y, b.y) - reach)));
    const int bottom = std::min(27, static_cast<int>(std::ceil(std::max(a.y, b.y) + reach)));
    const double dx = b.x - a.x, dy = b.y - a.y;
    const double inverse = 1.0 / std::max(dx * dx + dy * dy, 1e-12);
    for (int y = top; y <= bottom; ++y) {
        for (int x = left; x <= right; ++x) {
            const double px = x + 0.5 - a.x, py = y + 0.5 - a.y;
            const double t = std::clamp((px * dx + py * dy) * inverse, 0.0, 1.0);
            const double ex = px - t * dx, ey = py - t * dy;
            const double square = ex * ex + ey * ey;
            if (square >= reach * reach) continue;
            const float ink = static_cast<float>(std::min(1.0, reach - std::sqrt(square)));
            float& pixel = image[static_cast<std::size_t>(y * 28 + x)];
            pixel = std::max(pixel, ink);
        }
    }
}

void draw_stroke(const Stroke& stroke, const Placement& place, double radius, double jitter,
                 PhiloxStream& random, std::span<float, 784> image) {
    std::array<Point, 16> points{};
    std::size_t count = 0;
    for (std::size_t i = 0; i < stroke.size() && count < points.size(); ++i) {
        const bool corner = i > 0 && same(stroke[i], stroke[i - 1]);
        points[count] = corner ? points[count - 1]
                               : Point{stroke[i].x + jitter * bell(random),
                                       stroke[i].y + jitter * bell(random)};
        ++count;
    }
    // The ends run on or stop short, as pens do.
    const double overshoot = 0.08 * random.uniform(-1, 1);
    points[count - 1].x = lerp(points[count - 1].x, points[count - 2].x, overshoot);
    points[count - 1].y = lerp(points[count - 1].y, points[count - 2].y, overshoot);
    constexpr int kPieces = 5;
    for (std::size_t i = 0; i + 1 < count; ++i) {
        const Point b = points[i], c = points[i + 1];
        if (same(b, c)) continue;
        const Point a = i > 0 ? points[i - 1] : b;
        const Point d = i + 2 < count ? points[i + 2] : c;
        Point from = place(b);
        for (int piece = 1; piece <= kPieces; ++piece) {
            const Point to = place(curve(a, b, c, d, static_cast<double>(piece) / kPieces));
            draw_segment(from, to, radius, image);
            from = to;
        }
    }
}

}  // namespace

void draw_digit(int digit, double noise, PhiloxStream& random, std::span<float, 784> image) {
    std::fill(image.begin(), image.end(), 0.0f);
    const std::vector<Glyph>& glyphs = glyphs_of(digit);
    const Glyph& glyph = glyphs[static_cast<std::size_t>(random.below(glyphs.size()))];
    const Placement place = random_placement(random);
    const double radius = random.uniform(0.75, 1.75);
    const double pressure = random.uniform(0.75, 1.0);
    for (const Stroke& stroke : glyph) draw_stroke(stroke, place, radius, 0.022, random, image);
    for (float& pixel : image) {
        // Grain of paper and ink: the sum of two uniform numbers of sixteen bits, one draw a pixel.
        const std::uint32_t bits = random.bits();
        const double grain =
            static_cast<double>(bits & 0xffff) + static_cast<double>(bits >> 16) - 65535.0;
        const double value = pressure * static_cast<double>(pixel) + noise * grain / 65536.0 * 0.8;
        pixel = static_cast<float>(std::clamp(value, 0.0, 1.0));
    }
}

}  // namespace netc
