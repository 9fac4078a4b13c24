// A folder of images: found now, decoded when a sample is asked for.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>

#include "ir/philox.h"
#include "runtime/data/array_sources.h"
#include "runtime/data/file_sources.h"
#include "runtime/data/selector_text.h"
#include "runtime/data/utf8_check.h"
#include "runtime/files/files.h"
#include "runtime/files/image.h"
#include "runtime/files/image_edit.h"

namespace netc {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolder = "folder";
constexpr std::uint32_t kImageStream = 0x696d6167;  // "imag"

struct ImageFile {
    std::string path;
    std::int64_t folder = 0;
    std::uint64_t size = 0;
};

struct Folder {
    std::vector<ImageFile> files;
    std::vector<std::string> names;  // of the subfolders
};

// Entries of a directory by name, in byte order; hidden ones are left out.
Result<std::vector<fs::directory_entry>> entries_of(const std::string& path) {
    std::error_code code;
    std::vector<fs::directory_entry> entries;
    for (fs::directory_iterator at(path, code), end; !code && at != end; at.increment(code)) {
        if (!at->path().filename().string().starts_with('.')) entries.push_back(*at);
    }
    if (code) {
        return Error{.message = fmt::format("the folder {} cannot be read: {}", path,
                                            describe_errno(code.value())),
                     .help = "paths are relative to the .net file; `--data DIR` names another "
                             "folder to look in"};
    }
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
        return a.path().filename().string() < b.path().filename().string();
    });
    return entries;
}

Status add_files(const std::string& path, std::int64_t folder, std::vector<ImageFile>& files) {
    const Result<std::vector<fs::directory_entry>> entries = entries_of(path);
    if (!entries) return entries.error();
    std::error_code ignored;
    for (const fs::directory_entry& entry : *entries) {
        const std::string name = entry.path().string();
        if (entry.is_directory(ignored)) {
            if (Status s = add_files(name, folder, files); !s) return s;
        } else if (is_image_name(name)) {
            files.push_back({name, folder, entry.file_size(ignored)});
        }
    }
    return {};
}

// Images below each subfolder, then those beside them.
Result<Folder> find_images(const std::string& path, bool with_classes) {
    Folder found;
    if (!with_classes) {
        if (Status s = add_files(path, 0, found.files); !s) return s.error();
    } else {
        const Result<std::vector<fs::directory_entry>> entries = entries_of(path);
        if (!entries) return entries.error();
        std::error_code ignored;
        for (const fs::directory_entry& entry : *entries) {
            if (!entry.is_directory(ignored)) continue;
            const auto folder = static_cast<std::int64_t>(found.names.size());
            found.names.push_back(entry.path().filename().string());
            if (Status s = add_files(entry.path().string(), folder, found.files); !s) {
                return s.error();
            }
        }
    }
    if (found.files.empty()) {
        return Error{.message =
                         fmt::format("there are no PNG, JPEG, PGM or PPM files in {}{}", path,
                                     with_classes ? ", in a subfolder for each class" : "")};
    }
    return found;
}

Image apply(Image image, const ImageStep& step, PhiloxStream* random) {
    switch (step.kind) {
        case ImageStepKind::resize: {
            if (step.width > 0) return resize(image, step.width, step.height);
            // The shorter side gets this size, the other follows.
            const std::int64_t shorter = std::min(image.width, image.height);
            const auto scaled = [&](std::int64_t side) {
                return std::max<std::int64_t>(1, (side * step.height + shorter / 2) / shorter);
            };
            return resize(image, scaled(image.width), scaled(image.height));
        }
        case ImageStepKind::center_crop:
        case ImageStepKind::random_crop: {
            if (step.pad > 0) image = pad(image, step.pad);
            const std::int64_t x = image.width - step.width, y = image.height - step.height;
            if (x < 0 || y < 0) return image;  // its size is refused at the end
            if (step.kind == ImageStepKind::center_crop || random == nullptr) {
                return crop(image, x / 2, y / 2, step.width, step.height);
            }
            const auto left =
                static_cast<std::int64_t>(random->below(static_cast<std::uint64_t>(x) + 1));
            const auto top =
                static_cast<std::int64_t>(random->below(static_cast<std::uint64_t>(y) + 1));
            return crop(image, left, top, step.width, step.height);
        }
        case ImageStepKind::random_flip:
            return random != nullptr && random->uniform() < step.probability ? flip(image) : image;
    }
    return image;
}

class ImageReader : public SampleReader {
public:
    ImageReader(std::vector<ImageFile> files, std::vector<ImageStep> steps, FieldRequest request)
        : files_(std::move(files)), steps_(std::move(steps)), request_(std::move(request)) {}

    std::int64_t rows() const override { return static_cast<std::int64_t>(files_.size()); }

    Status read(std::int64_t row, const Drawing* drawing, std::byte* out) const override {
        const ImageFile& file = files_[static_cast<std::size_t>(row)];
        Result<Image> decoded = read_image(file.path);
        if (!decoded) return decoded.error();
        const std::vector<std::int64_t>& shape = request_.sample_shape;
        Image image = with_channels(std::move(*decoded), shape[0]);
        // Inputs of the same row, an image and its mask, are cut and turned alike.
        const auto index = static_cast<std::uint64_t>(row);
        PhiloxStream random(drawing != nullptr ? drawing->seed : 0, kImageStream,
                            (drawing != nullptr ? drawing->epoch << 40 : 0) ^ index);
        for (const ImageStep& step : steps_) {
            image = apply(std::move(image), step, drawing != nullptr ? &random : nullptr);
        }
        if (image.height != shape[1] || image.width != shape[2]) {
            return Error{
                .message =
                    fmt::format("{} is {} pixels wide and {} high, but `{}` takes [{}]", file.path,
                                image.width, image.height, request_.name, fmt::join(shape, ", ")),
                .help = fmt::format("`{} = resize([{}, {}])` brings every image to this size",
                                    request_.name, shape[1], shape[2])};
        }
        const std::vector<std::uint8_t> planes = channels_first(image);
        std::memcpy(out, planes.data(), planes.size());
        return {};
    }

    std::shared_ptr<const SampleReader> select(std::span<const std::int64_t> rows) const override {
        std::vector<ImageFile> files;
        for (const std::int64_t row : rows) files.push_back(files_[static_cast<std::size_t>(row)]);
        return std::make_shared<ImageReader>(std::move(files), steps_, request_);
    }

    // Names, sizes and samples of what the files hold: reading all of it would take as long as an epoch.
    std::string fingerprint() const override {
        std::string text;
        for (const ImageFile& file : files_) {
            text += fmt::format("{} {}\n", fs::path(file.path).filename().string(), file.size);
            text += sampled_content(file.path, file.size);
        }
        return text;
    }

private:
    std::vector<ImageFile> files_;
    std::vector<ImageStep> steps_;
    FieldRequest request_;
};

// Looks at every file once and keeps those that can be decoded.
void leave_out_unreadable(std::vector<ImageFile>& files, std::vector<std::string>& warnings) {
    const std::size_t before = files.size();
    std::string first;
    std::erase_if(files, [&](const ImageFile& file) {
        const Result<Image> image = read_image(file.path);
        if (!image && first.empty()) first = image.error().message;
        return !image.ok();
    });
    if (files.size() == before) return;
    warnings.push_back(fmt::format("{} of {} images cannot be read and are left out; the first: {}",
                                   before - files.size(), before, first));
}

}  // namespace

Result<LoadedSource> read_images(const DataSource& source, const std::vector<FieldRequest>& wanted,
                                 const std::string& root, const DataStatistics* trained) {
    std::vector<const SourceField*> fields;
    bool with_classes = false;
    std::vector<std::string> classes;
    for (const FieldRequest& request : wanted) {
        const Result<const SourceField*> field = find_source_field(source, request.name);
        if (!field) return field.error();
        fields.push_back(*field);
        if ((*field)->part != FieldPart::folder) continue;
        with_classes = true;
        classes = trained_categories(trained, request.name, kFolder);
    }
    const std::string path = join_path(root, source.path);
    Result<Folder> found = find_images(path, with_classes);
    if (!found) return found.error();
    if (Status names = check_class_names(found->names, path); !names) return names.error();
    if (classes.empty()) classes = found->names;
    std::map<std::string_view, std::int64_t> code_of;
    for (const std::string& name : classes) {
        code_of.emplace(name, static_cast<std::int64_t>(code_of.size()));
    }
    for (ImageFile& file : found->files) {
        if (!with_classes) break;
        const std::string& name = found->names[static_cast<std::size_t>(file.folder)];
        const auto code = code_of.find(name);
        if (code == code_of.end()) {
            return Error{.message = fmt::format("the folder {} in {} is no class of the training",
                                                quoted_text(name), path),
                         .help = "the classes are: " + listed_texts(classes)};
        }
        file.folder = code->second;
    }
    LoadedSource loaded;
    if (source.skip_unreadable) leave_out_unreadable(found->files, loaded.warnings);
    const auto rows = static_cast<std::int64_t>(found->files.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const FieldRequest& request = wanted[i];
        if (fields[i]->part == FieldPart::folder) {
            Array labels{DType::i32, {rows}, {}};
            labels.bytes.resize(found->files.size() * sizeof(std::int32_t));
            for (std::size_t row = 0; row < found->files.size(); ++row) {
                const auto label = static_cast<std::int32_t>(found->files[row].folder);
                std::memcpy(labels.bytes.data() + row * sizeof label, &label, sizeof label);
            }
            Result<Field> field = field_from_array(std::move(labels), request, path);
            if (!field) return field.error();
            field->statistics.columns = {{kFolder, classes, std::nullopt}};
            loaded.fields.push_back({std::move(*field), {}, path});
            continue;
        }
        const std::vector<std::int64_t>& shape = request.sample_shape;
        if (shape.size() != 3 || (shape[0] != 1 && shape[0] != 3)) {
            return Error{.message = fmt::format("images fill an input [B, 1, height, width] or [B, "
                                                "3, height, width], but `{}` takes [{}]",
                                                request.name, fmt::join(shape, ", "))};
        }
        LoadedField image;
        image.field.name = request.name;
        image.field.dtype = request.dtype;
        image.field.stored = DType::u8;
        image.field.sample_shape = shape;
        image.field.reader = std::make_shared<ImageReader>(found->files, fields[i]->steps, request);
        image.origin = path;
        if (source.standardize && request.role == FieldRole::input && is_float(request.dtype)) {
            image.standardize.assign(static_cast<std::size_t>(image.field.sample_size()), true);
        }
        // What does not fit is better said now than after the first epoch.
        std::vector<std::byte> sample(static_cast<std::size_t>(image.field.stored_bytes()));
        if (Status s = rows > 0 ? image.field.reader->read(0, nullptr, sample.data()) : Status{};
            !s)
            return s.error();
        loaded.fields.push_back(std::move(image));
    }
    return loaded;
}

}  // namespace netc
